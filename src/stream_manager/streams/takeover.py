"""What an earlier manager left: its workers are met, and each is adopted, ended or left alone.

socket or row -> met? -> ours? -> suits its stream? -> adopted, and recorded on without a gap
                   |        |             '-> no: retired (asked, heard, ended), then replaced
                   |        '-> no: left alone, and said so
                   '-> no: a dead one's file is removed, one that the store knows is ended
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from stream_manager.clock import Clock
from stream_manager.pipelines.messages import (
    VERSION,
    FromWorker,
    PartGone,
    SegmentClosed,
    SegmentOpened,
    Spawn,
)
from stream_manager.recordings import IndexKeeper
from stream_manager.recovery import Phase, exit_fault
from stream_manager.store import Store, WorkerRow
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.meeting import Met, NotMet, key_of, meet, socket_files
from stream_manager.streams.process import TERM_GRACE_S, Process, in_words
from stream_manager.streams.processes import end_leftover, leftovers
from stream_manager.streams.recording import Commander
from stream_manager.streams.stream import Stream

RETIRE_WITHIN_S = 4.0  # what a worker has for its files
CAUGHT_UP_WITHIN_S = 2.0
REPLACED_WITHIN_S = 15.0  # then the next stream's worker of another version is replaced
POLL_S = 0.05

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is left of one stream: sockets under its key, and perhaps its process in the store.

    dead: its process, where that has ended while no manager ran.
    """

    paths: list[Path] = field(default_factory=list)
    row: WorkerRow | None = None
    dead: WorkerRow | None = None


class Takeover:
    """Takes over what lies in `runtime_dir`, once; a stream of which there is a trace has to wait.

    streams: those that are configured now. begin: called with each that waited, and has no worker.
    """

    def __init__(
        self,
        *,
        runtime_dir: Path,
        store: Store,
        keeper: IndexKeeper,
        launcher: Launcher,
        clock: Clock,
        streams: Mapping[str, Stream],
        begin: Callable[[Stream], None],
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._launcher = launcher
        self._clock = clock
        self._streams = streams
        self._begin = begin
        self._traces = {key: Trace(paths=it) for key, it in socket_files(runtime_dir).items()}
        alive, dead = leftovers(store)
        for row in alive:
            self._traces.setdefault(key_of(row.stream), Trace()).row = row
        for row in dead:
            self._traces.setdefault(key_of(row.stream), Trace()).dead = row
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = asyncio.Event()
        self._one_by_one = asyncio.Lock()
        self._stopping = False

    def concerns(self, stream: str) -> bool:
        """Tell whether it is not settled yet what becomes of a stream's former worker."""
        return key_of(stream) in self._traces

    def start(self) -> None:
        """Take over, now that the streams are configured; a second call does nothing."""
        if not self._begun.is_set():
            self._begun.set()
            self._tasks = {
                asyncio.create_task(self._take_over(key), name="takeover") for key in self._traces
            }

    async def settled(self) -> None:
        """Return when every worker is adopted and has told what it kept, or has ended."""
        await self._begun.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """End what is not taken over yet."""
        self._stopping = True
        self.start()
        await self.settled()

    def leave(self) -> None:
        """Leave what is not taken over yet to the next manager."""
        for task in self._tasks:
            task.cancel()

    async def _take_over(self, key: str) -> None:
        adopted: Stream | None = None
        try:
            trace = self._traces[key]
            met = await self._meet(trace)
            if met is not None:
                adopted = await self._settle(key, met)
            elif trace.dead is not None:
                await self._bury(trace.dead)
        except Exception:  # our own bug: the stream starts all the same
            log.exception("a worker of an earlier manager could not be taken over")
        del self._traces[key]
        stream = self._stream(key)
        if adopted is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CAUGHT_UP_WITHIN_S):
                    await adopted.worker.caught_up.wait()
        elif stream is not None and not self._stopping:
            self._begin(stream)

    async def _meet(self, trace: Trace) -> Met | None:
        """Return the newest worker of ours; whatever else there is of ours has ended then."""
        ours = [met for path in trace.paths if (met := await self._met(path)) is not None]
        # A successor may not have come far enough: then its forerunner alone has media.
        ours.sort(key=lambda met: (met.hello.last_media_s is not None, met.hello.epoch))
        for other in ours[:-1]:
            await self._retire(other, "another one goes on", "manager")
        newest = ours[-1] if ours else None
        row = trace.row
        if row is not None and all(met.hello.pid != row.pid for met in ours):
            log.warning("ending a worker that does not answer", stream=row.stream, pid=row.pid)
            # One whose socket is nowhere may be well; one that says nothing there hangs.
            within_s = TERM_GRACE_S if trace.paths else RETIRE_WITHIN_S
            await end_leftover(row, self._store, self._clock, within_s=within_s)
        return newest

    async def _bury(self, row: WorkerRow) -> None:
        """Tell of a worker that has ended while no manager ran, as far as somebody saw how."""
        code = await self._launcher.exit_code(row.pid)
        log.warning(
            "a worker has ended while no manager ran",
            stream=row.stream,
            pid=row.pid,
            epoch=row.epoch,
            how=in_words(code, None),
        )
        stream = self._streams.get(row.stream)  # not an isolated output, which writes no files
        records = stream is not None and stream.settings.spec.record is not None
        if records and code:  # by itself it ends for want of a manager
            self._keeper.died(row.stream, exit_fault(code).code)

    async def _met(self, path: Path) -> Met | None:
        """Return the worker that listens there, if it is ours."""
        try:
            met = await meet(path)
        except NotMet as error:
            if error.dead:
                _remove(path)
            else:
                log.warning("left alone: no worker of ours", socket=str(path), why=str(error))
            return None
        if met.hello.instance == self._store.instance_id():
            return met
        log.warning(
            "left alone: a worker of another manager's, with another state_dir",
            stream=met.hello.stream,
            pid=met.hello.pid,
        )
        met.close()
        return None

    async def _settle(self, key: str, met: Met) -> Stream | None:
        """Adopt a worker or end it; return the stream that goes on with it."""
        hello, stream = met.hello, self._stream(key)
        if hello.forgotten:
            log.warning(
                "a worker could not keep all that it recorded; the files are measured instead",
                stream=hello.stream,
                facts=hello.forgotten,
            )
        if self._stopping:
            await self._retire(met, "everything is being stopped", "manager")
        elif "/" in hello.stream:
            await self._retire(met, "an isolated output starts anew", "manager")
        elif stream is None or stream.id != hello.stream:
            await self._retire(met, "it stands in no configuration", "configuration")
        elif not self._store.desired().get(stream.id, True):
            await self._retire(met, "an operator stopped the stream", "operator")
        elif hello.version != VERSION:
            await self._replace(key, met)
        elif hello.ending:
            await self._retire(met, "it was told to end", "manager")
        elif hello.digest != stream.settings.digest:
            await self._retire(met, "its configuration changed", "configuration")
        elif not stream.suits(hello):
            await self._retire(met, "a later one was started", "manager")
        else:
            stream.adopt(met)
            log.info("adopted", stream=stream.id, pid=hello.pid, epoch=hello.epoch)
            return stream
        return None

    async def _retire(self, met: Met, why: str, by: Commander, *, ask: bool = True) -> None:
        """End a worker of ours, and hear what it says of its files."""
        hello = met.hello
        log.warning("ending a worker", stream=hello.stream, pid=hello.pid, why=why)

        def hear(message: FromWorker) -> None:
            match message:
                case SegmentOpened():
                    self._keeper.opened(hello.stream, message)
                case SegmentClosed():
                    self._keeper.closed(hello.stream, message)
                case PartGone(part="record"):
                    self._keeper.ended(hello.stream)

        order = Spawn(
            stream=hello.stream,
            instance=hello.instance,
            epoch=hello.epoch,
            digest=hello.digest,
            socket_path=met.path,
            log_path="",
        )
        process = Process(
            order,
            launcher=self._launcher,
            hear=hear,
            written=self._keeper.written,
            lost=lambda _: None,
        )
        process.take(met)
        self._keeper.adopted(hello.stream)
        if hello.stream in self._streams:
            self._keeper.stopped(hello.stream, by)

        async def live() -> None:
            await process.go_on()

        life = asyncio.create_task(live())
        await process.end(life, RETIRE_WITHIN_S, ask=ask)
        if not life.done():
            log.error("killed, but the kernel does not let it go", pid=hello.pid)
        self._keeper.ended(hello.stream)
        if any((it.stream, it.pid) == (hello.stream, hello.pid) for it in self._store.workers()):
            self._store.forget_worker(hello.stream)  # not its successor, which may live already

    async def _replace(self, key: str, met: Met) -> None:
        """Replace a worker that speaks another version; the others go on until it is their turn."""
        why = f"it speaks version {met.hello.version}, and this manager {VERSION}"
        async with self._one_by_one:
            await self._retire(met, why, "manager", ask=False)
            stream = self._stream(key)
            if stream is None or self._stopping:
                return
            self._begin(stream)
            deadline_s = self._clock.monotonic_s() + REPLACED_WITHIN_S
            while (
                stream.record_of(stream.id).phase is not Phase.RUNNING
                and self._clock.monotonic_s() < deadline_s
            ):
                await self._clock.sleep(POLL_S)

    def _stream(self, key: str) -> Stream | None:
        return next((it for it in self._streams.values() if key_of(it.id) == key), None)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a file system that only reads keeps what is of no more use
        path.unlink()
