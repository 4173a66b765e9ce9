"""A whole stream of the manager's side whose worker is played by the test, on a fake clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stream_manager.config import StreamSettings
from stream_manager.pipelines.messages import (
    Attend,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    Spawn,
    Track,
    TrackProgress,
)
from stream_manager.pipelines.spec import RecordSpec, Source, StreamSpec, TestSource
from stream_manager.recovery import (
    Backoff,
    Decision,
    Failed,
    Gone,
    Phase,
    Record,
    RecoveryManager,
    RecoveryPolicy,
    Started,
    Step,
    exit_fault,
)
from stream_manager.store import Store
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.counters import Counters
from stream_manager.streams.launcher import Forked, Launcher
from stream_manager.streams.limits import KernelMemory
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.stream import Stream
from stream_manager.streams.upkeep import Means
from stream_manager.streams.views import stream_status
from stream_manager.supervision import Supervisor
from stream_manager.testing import FakeClock, settle

if TYPE_CHECKING:
    from stream_manager.evidence import Finding, Keeper
    from stream_manager.health import Outage
    from stream_manager.recordings import IndexKeeper

VIDEO = Track(name="video", kind="video", codec="H264", caps="video/x-h264")
AUDIO = Track(name="audio", kind="audio", codec="AAC", caps="audio/mpeg")
PULSE_S = 0.2
FRAMES_A_PULSE = 5

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"), stable_for_s=60.0)


def settings_of(
    policy: RecoveryPolicy = POLICY,
    *,
    digest: str = "d1",
    record: bool = True,
    source: Source | None = None,
) -> StreamSettings:
    """Return the settings of a stream "cam"."""
    return StreamSettings(
        spec=StreamSpec(
            id="cam",
            source=source or TestSource(),
            record=RecordSpec(directory="/recordings") if record else None,
        ),
        policy=policy,
        stall_after_s=None,
        digest=digest,
        volume="main" if record else None,
    )


def simulated(
    state_dir: Path,
    script: "Callable[[Simulation], Coroutine[None, None, None]]",
    policy: RecoveryPolicy = POLICY,
    source: Source | None = None,
) -> None:
    """Run a script against one stream with a store of its own."""

    async def run() -> None:
        clock = FakeClock()
        store = Store.open(state_dir, clock=clock, on_fault=lambda _: None)
        try:
            simulation = Simulation(store, clock, settings_of(policy, source=source))
            async with simulation.running():
                await script(simulation)
        finally:
            store.close()

    asyncio.run(run())


class NoForks:
    """A launcher whose workers are never born: the test says what becomes of them."""

    attend = Attend(orphan_grace_s=None)

    async def spawn(self, order: Spawn) -> Forked:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError(order)

    def expect(self, pid: int) -> None:
        """Know of one that an earlier manager had forked; nobody will see how it ends."""

    async def exit_code(self, _pid: int) -> None:
        """Say that nobody saw it."""


class Marks:
    """Stands for the index of recordings: keeps what it was told, in words."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a method that notes its call."""

        def note(_stream: str, *details: object) -> None:
            self.told.append(" ".join(map(str, (name, *details))))

        return note


class Findings:
    """Where evidence goes: it is all kept here."""

    log_dir = Path("/nonexistent")

    def __init__(self) -> None:
        self.kept: list[Finding] = []

    def keep(self, finding: "Finding") -> None:
        """Take a finding."""
        self.kept.append(finding)


class Simulation:
    """A stream under a real supervisor; the test is its worker."""

    def __init__(self, store: Store, clock: FakeClock, settings: StreamSettings) -> None:
        self._shown_while_written: list[str | None] = []
        self._lasting: list[bool] = []
        self.clock = clock
        self.decisions: list[Decision] = []
        self.ended: list[Outage] = []
        self.index = Marks()
        self.evidence = Findings()
        self.keyframes = True  # whether pictures can be decoded
        self.garbage = False  # whether packets go on without pictures
        self.blocked: str | None = None  # the element that keeps a buffer
        self._packets = 0
        self._frames: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self.supervisor = Supervisor(
            recovery=RecoveryManager(chance=lambda: 0.5),
            journal=self._journal,
            clock=clock,
            watch=self._watch,
            came_round=lambda: None,
        )
        self.counters = Counters(store=store, clock=clock)
        self.stream = Stream(
            settings,
            supervisor=self.supervisor,
            means=Means(
                launcher=cast("Launcher", NoForks()),
                kernel=KernelMemory(
                    cgroups=Cgroups(None), oom=OutOfMemoryWatch(clock, Path("/nonexistent"))
                ),
                evidence=cast("Keeper", self.evidence),
                store=store,
                clock=clock,
                socket_dir=Path("/nonexistent"),
            ),
            keeper=cast("IndexKeeper", self.index),
            counters=self.counters,
        )

    async def _journal(self, decisions: Sequence[Step], at_most_s: float) -> bool:
        assert at_most_s > 0
        told = [it for it in decisions if isinstance(it, Decision)]
        self.decisions += told
        for decision in told:
            self.counters.save(decision.after)
        # What is raised here is logged and no more, so it is kept for `running` to tell.
        self._shown_while_written.append(stream_status(self.stream, self.clock)["health"])
        self._lasting.append(self.stream.history.outages.current is not None)
        return True

    def _watch(self, decision: Step) -> None:
        assert isinstance(decision, Decision)
        if outage := self.stream.decided(decision):
            self.ended.append(outage)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the supervisor; afterwards nothing of it is left."""
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield
            assert not task.done()
            shown = zip(self._shown_while_written, self._lasting, strict=True)
            assert ("healthy", True) not in set(shown)  # never healthy within an outage
        finally:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for other in others:
                other.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.gather(*others, return_exceptions=True)

    def record(self, part: str = "") -> Record:
        """Return what the core knows of the worker, or of one of its parts."""
        return self.stream.record_of(f"cam/{part}" if part else "cam")

    def phases(self) -> dict[str, Phase]:
        """Return where each component stands."""
        return {id_: self.stream.record_of(id_).phase for id_ in self.stream.ids}

    async def start(self, *tracks: Track) -> None:
        """Want the stream up and let its worker and its source start."""
        self.stream.want(up=True)
        await settle()
        await self.worker_starts()
        await self.source_starts(*tracks)

    async def worker_starts(self) -> None:
        """Say that the process is there."""
        self.stream.post(Started(id="cam", epoch=self.record().epoch))
        await settle()

    async def source_starts(self, *tracks: Track) -> None:
        """Say that the source is built, with its tracks, and the recorder on it."""
        for seen in (self._frames, self._first, self._last):
            seen.clear()
        epoch = self.record("source").epoch
        self.stream.hear(PartStarted(part="source", epoch=epoch, tracks=tracks or (VIDEO,)))
        await settle()
        if self.stream.output_ids:
            epoch = self.record("record").epoch
            self.stream.hear(PartStarted(part="record", epoch=epoch))
            await settle()

    async def flow(self, seconds: float, *names: str, silent: Sequence[str] = ()) -> None:
        """Let media of these tracks flow; the `silent` ones are reported without news."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s - 1e-9:
            await self.clock.advance(PULSE_S)
            readings = [self._reading(name, new=FRAMES_A_PULSE) for name in names or ("video",)]
            readings += [self._reading(name, new=0) for name in silent]
            self.stream.hear(self._report(readings))
            await settle()

    async def freeze(self, seconds: float, *names: str) -> None:
        """Report on, but without media."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s - 1e-9:
            await self.clock.advance(PULSE_S)
            readings = [self._reading(name, new=0) for name in names or ("video",)]
            self.stream.hear(self._report(readings))
            await settle()

    async def part_fails(self, origin: str, code: str, part: str = "source") -> None:
        """Report a fault of a part."""
        epoch = self.record(part).epoch
        self.stream.hear(PartFailed(part=part, epoch=epoch, origin=origin, code=code, text=code))
        await settle()

    async def part_gone(self, part: str = "source") -> None:
        """Report that nothing of a part is left."""
        self.stream.hear(PartGone(part=part, epoch=self.record(part).epoch))
        await settle()

    async def worker_dies(self, exit_code: int = -9) -> None:
        """Report the end of the process, and that nothing of it is left."""
        epoch = self.record().epoch
        self.stream.post(Failed(id="cam", epoch=epoch, fault=exit_fault(exit_code)))
        await settle()
        self.stream.post(Gone(id="cam", epoch=epoch))
        await settle()

    def _reading(self, name: str, *, new: int) -> TrackProgress:
        frames = self._frames[name] = self._frames.get(name, 0) + new
        if new:
            self._last[name] = self.clock.now_s
            self._first.setdefault(name, self.clock.now_s)
        gap_s = PULSE_S / FRAMES_A_PULSE if new else 0.0
        self._packets += FRAMES_A_PULSE if new or self.garbage else 0
        return TrackProgress(
            name=name,
            frames=frames,
            bytes=1000 * frames,
            first_s=self._first.get(name),
            key_s=self._first.get(name) if self.keyframes else None,
            last_s=self._last.get(name),
            gap_max_s=gap_s,
            gap_mean_s=gap_s,
            gap_deviation_s=0.0,
            packets=self._packets,
        )

    def _report(self, readings: list[TrackProgress]) -> Progress:
        wrote_s = max((it.last_s for it in readings if it.last_s), default=None)
        begun_s = min((it.first_s for it in readings if it.first_s), default=None)
        output = OutputProgress(
            part="record",
            epoch=self.record("record").epoch,
            bytes=sum(it.bytes for it in readings),
            first_s=begun_s,
            last_s=wrote_s,
            segment="/recordings/cam/one.ts",
            sequence=1,
        )
        return Progress(
            blocked=self.blocked,
            at_s=self.clock.now_s,
            late_s=0.0,
            epoch=self.record("source").epoch,
            tracks=tuple(readings),
            outputs=(output,),
        )


class Lives:
    """One stream under managers that are killed one after another, on one clock."""

    def __init__(self, folder: Path, policy: RecoveryPolicy = POLICY) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.settings = settings_of(policy)

    @asynccontextmanager
    async def life(self, settings: StreamSettings | None = None) -> AsyncIterator[Simulation]:
        """Run a manager until it is killed at the end of the block; what it saved is on disk."""
        store = Store.open(self.folder, clock=self.clock, on_fault=_fail)
        try:
            simulation = Simulation(store, self.clock, settings or self.settings)
            async with simulation.running():
                yield simulation
        finally:
            store.close()


def _fail(fault: str) -> None:
    raise AssertionError(fault)
