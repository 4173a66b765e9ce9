"""Plays trials on cameras that one real manager records, each over a network of its own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.lab.camera import Camera
from stream_manager.lab.demo_manager import Manager
from stream_manager.lab.demo_results import CONFIG, LOG, RECORDINGS
from stream_manager.lab.network.facts import MediaFact as PacketFact
from stream_manager.lab.proxy import Proxy
from stream_manager.lab.record import FaultFact, Phase
from stream_manager.lab.record import MediaFact as PictureFact
from stream_manager.lab.trial_results import Json, Result, Wire, wire_of
from stream_manager.lab.trials import Transport, Trial
from stream_manager.recordings import Gap, find_gaps
from stream_manager.store import Segment, read_index, read_marks, read_segments

UP_WITHIN_S = 90.0
CALM_WITHIN_S = 180.0
BEGUN_WITHIN_S = 60.0
HEALED_WITHIN_S = 60.0
# A run of garbage may look healthy for a moment.
HEALED_FOR_S = 1.0
# A stall is told by a track's rhythm, which takes a while to learn.
LEARNED_S = 3.0
# How long a stream is watched after a fault: its end may be another disturbance.
WATCHED_S = 2.0
POLL_S = 0.1
NEWEST = 3
MOUNT = "cam"
USER, PASSWORD = "viewer", "s3cret"
FIRST_HOST = 2  # of 127.0.0.0/24
# One camera in five is recorded over UDP, one in four asks for the password in plain text.
UDP_EVERY, BASIC_EVERY = 5, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One camera, the network before it, and the stream that is recorded over it."""

    stream: str
    camera: Camera
    network: Proxy
    transport: Transport

    @property
    def url(self) -> str:
        """The URL under which the stream is recorded, with user and password."""
        return self.network.url(MOUNT).replace("://", f"://{USER}:{PASSWORD}@")

    def begin(self, trial: Trial, worker_pid: int) -> None:
        """Cause the fault."""
        for line in trial.orders:
            place, colon, order = line.partition(": ")
            if not colon:
                place, order = trial.at, line
            match place:
                case "worker":
                    os.kill(worker_pid, signal.Signals[order])
                case "camera":
                    self.camera.order(order)
                case _:
                    self.network.order(order)

    def heal(self) -> None:
        """End what is not over by itself."""
        self.camera.order("heal")
        self.network.order("heal")

    def began_at(self, trial: Trial, ordered_at: datetime) -> datetime | None:
        """Return when the fault really began, by the record of where it is made; None: not yet.

        One that needs another picture begins when that is encoded.
        """
        if trial.at == "worker":
            return ordered_at
        record = self.network.record if trial.at == "network" else self.camera.record
        ordered = {order.split()[0] for order in trial.orders if ": " not in order}
        begun = {
            it.name: it.at
            for it in record
            if isinstance(it, FaultFact) and it.phase is Phase.BEGAN and it.at >= ordered_at
        }
        return min(begun.values()) if ordered <= begun.keys() else None

    def wire(self, trial: Trial, began_at: datetime, until: datetime) -> Wire:
        """Return when media ceased and began, by the record of where the fault was made."""
        record = self.network.record if trial.at == "network" else self.camera.record
        kinds = (PictureFact, PacketFact)
        media = [(it.at, it.phase) for it in record if isinstance(it, kinds)]
        return wire_of(trial, media, began_at=began_at, until=until)


class Campaign:
    """A manager in `folder` that records `cameras` cameras. An asynchronous context manager.

    program: the `stream-manager` command. clip: what the cameras send. recovery: the lines of the
    [recovery] table. Nothing of it runs afterwards.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        cameras: int,
        clip: Path,
        recovery: str,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._count = cameras
        self._clip = clip
        self._recovery = recovery
        self._clock = clock
        self._manager = Manager(program, folder)
        self._stack = AsyncExitStack()
        self.stages: list[Stage] = []

    async def __aenter__(self) -> Self:
        """Start all; raises OutsideError if a camera, a network or the manager fails."""
        try:
            for number in range(self._count):
                self.stages.append(await asyncio.to_thread(self._stage, number))
            (self._folder / CONFIG).write_text(self._configuration())
            await self._stack.enter_async_context(self._manager)
            for stage in self.stages:
                await self._wait(stage, _is_calm, UP_WITHIN_S)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def play(self, trials: Sequence[Trial], *, at_once: int) -> AsyncIterator[Result]:
        """Yield the result of each trial as it comes; `at_once` are played at a time.

        The stage that was longest at rest is taken. Raises UsageError for a trial that none fits.
        """
        waiting, free = list(trials), list(self.stages)
        playing: dict[asyncio.Task[Result], Stage] = {}
        try:
            while waiting or playing:
                for trial in list(waiting):
                    stage = next((it for it in free if it.transport == trial.transport), None)
                    if stage is not None and len(playing) < at_once:
                        waiting.remove(trial)
                        free.remove(stage)
                        playing[asyncio.create_task(self._play(trial, stage))] = stage
                done, _ = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    free.append(playing.pop(task))
                    yield task.result()
        finally:
            for task in playing:
                task.cancel()

    async def _play(self, trial: Trial, stage: Stage) -> Result:
        before = await self._wait(stage, _is_calm, CALM_WITHIN_S)
        after = await self._manager.last_seq()
        ordered_at = _to_ms(self._clock.wall())  # as records tell it
        await asyncio.to_thread(stage.begin, trial, before["pid"])
        began_at = await self._begun(trial, stage, ordered_at)
        await self._clock.sleep(trial.lasts_s)
        over_at = self._clock.wall()
        await asyncio.to_thread(stage.heal)
        await self._clock.sleep(WATCHED_S)

        def is_over(now: Json) -> bool:
            lost_s: float = now["outage_s_total"] - before["outage_s_total"]
            lasts = _is_healthy(now) and now["uptime_s"] > HEALED_FOR_S
            return lasts and (lost_s > 0 or not trial.breaks)

        try:
            now = await self._wait(stage, is_over, HEALED_WITHIN_S)
        except OutsideError:
            healed, now = False, await self._stream(stage)
        else:
            healed = True
        entries = await self._manager.journal(after=after)
        files, gaps = await self._recorded(stage.stream, began_at)
        return Result(
            trial=trial,
            began_at=began_at,
            over_at=over_at,
            faults=tuple(it for it in entries if it["stream"] == stage.stream and it["cause"]),
            gaps=gaps,
            files=files,
            wire=stage.wire(trial, began_at, self._clock.wall()),
            outage_s=now["outage_s_total"] - before["outage_s_total"],
            healed=healed,
        )

    async def _begun(self, trial: Trial, stage: Stage, ordered_at: datetime) -> datetime:
        deadline_s = self._clock.monotonic_s() + BEGUN_WITHIN_S
        while (began_at := stage.began_at(trial, ordered_at)) is None:
            if self._clock.monotonic_s() > deadline_s:
                raise OutsideError(f"{trial.name}: the lab did not begin it")
            await self._clock.sleep(POLL_S)
        return began_at

    async def _recorded(
        self, stream: str, since: datetime
    ) -> tuple[tuple[Segment, ...], tuple[Gap, ...]]:
        """Return newest files and gaps since a fault, when all but the present one are measured."""
        state_dir = self._folder / "state"
        deadline_s = self._clock.monotonic_s() + UP_WITHIN_S
        while True:
            segments = read_index(state_dir, lambda it: read_segments(it, stream=stream))
            settled = sum(it.ended_at is None for it in segments) <= 1
            if settled or self._clock.monotonic_s() > deadline_s:
                break
            await self._clock.sleep(POLL_S)
        marks = read_index(state_dir, lambda it: read_marks(it, stream))
        gaps = find_gaps(stream, segments, marks)
        return (
            tuple(segments[-NEWEST:]),
            tuple(gap for gap in gaps if gap.ended_at is None or gap.ended_at > since),
        )

    async def _wait(self, stage: Stage, fits: Callable[[Json], bool], within_s: float) -> Json:
        deadline_s = self._clock.monotonic_s() + within_s
        while not fits(now := await self._stream(stage)):
            if self._clock.monotonic_s() > deadline_s:
                log = self._folder / LOG
                raise OutsideError(f"{stage.stream} is not as it should be; {log} tells why: {now}")
            await self._clock.sleep(POLL_S)
        return now

    async def _stream(self, stage: Stage) -> Json:
        status = await self._manager.status()
        streams = [] if status is None else status["streams"]
        return next((it for it in streams if it["id"] == stage.stream), {"health": None})

    def _stage(self, number: int) -> Stage:
        camera = self._stack.enter_context(
            Camera(
                MOUNT,
                clip=self._clip,
                user=USER,
                password=PASSWORD,
                auth="digest" if number % BASIC_EVERY else "basic",
            )
        )
        # Each is a host of its own: faults that are played together are no incident.
        network = self._stack.enter_context(
            Proxy(to=f"127.0.0.1:{camera.port}", bind=f"127.0.0.{number + FIRST_HOST}")
        )
        return Stage(
            stream=f"stage-{number}",
            camera=camera,
            network=network,
            transport="udp" if number % UDP_EVERY == UDP_EVERY - 1 else "tcp",
        )

    def _configuration(self) -> str:
        parts = [
            '[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\norphan_grace = "5s"\n',
            f"[recovery]\n{self._recovery}\n",
            f'[[volumes]]\nid = "main"\npath = "./{RECORDINGS}"\n',
            *(
                f'[[streams]]\nid = "{it.stream}"\ntransport = "{it.transport}"\n'
                f'source = "{it.url}"\n'
                'record = { volumes = ["main"] }\n'
                for it in self.stages
            ),
        ]
        return "\n".join(parts)


def _to_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_healthy(stream: Json) -> bool:
    return bool(stream["health"] == "healthy")


def _is_calm(stream: Json) -> bool:
    """Tell whether its history is forgiven and its rhythm learned."""
    return _is_healthy(stream) and stream["attempt"] == 0 and stream["uptime_s"] > LEARNED_S
