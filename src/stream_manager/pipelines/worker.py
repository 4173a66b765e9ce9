"""The process of one stream: a GLib main loop that runs the parts its manager asks for.

It decides nothing: orders come in, facts go out. The one exception is the end of its manager,
see Worker._on_manager_lost.
"""

import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType

from setproctitle import setproctitle

from stream_manager.pipelines import logfile
from stream_manager.pipelines.blockage import Blockage
from stream_manager.pipelines.callbacks import lasting
from stream_manager.pipelines.containment import contain
from stream_manager.pipelines.custom import CustomOutput
from stream_manager.pipelines.debuglog import DebugLog
from stream_manager.pipelines.graph import draw
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.link import Link
from stream_manager.pipelines.messages import (
    DUMP_SIGNAL,
    VERSION,
    FromWorker,
    Graph,
    Hello,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    Spawn,
    StartCustom,
    StartRecord,
    StartSource,
    StopPart,
    ToWorker,
)
from stream_manager.pipelines.outputs import Output, Outputs, free
from stream_manager.pipelines.record import PART as RECORD
from stream_manager.pipelines.record import Recorder
from stream_manager.pipelines.source import SourcePart
from stream_manager.pipelines.tracks import SourceTrack

PULSE_S = 0.2
DEBUG_EVERY = 5  # pulses
QUIT_GRACE_S = 4.0
FIRST_MANAGER_WITHIN_S = 10.0
SOURCE_SHARE = 0.25  # of a grace, kept for the source after its outputs have finished

_TOO_LATE = 1  # exit status of a worker that did not finish within its grace


def run(spawn: Spawn, listener: socket.socket) -> int:
    """Be the worker of `spawn`, in a process of its own; return its exit status."""
    setproctitle(f"stream-manager: {spawn.stream}")
    logfile.head(epoch=spawn.epoch, at=time.time())
    contain(spawn)
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(spawn, listener, wall=time.time)
    return worker.run()


class Worker:
    """The source and the outputs of one stream, and the way to the manager."""

    def __init__(self, spawn: Spawn, listener: socket.socket, *, wall: Callable[[], float]) -> None:
        """Serve `listener`; `wall` gives UTC seconds, for the names of files."""
        self._spawn = spawn
        self._wall = wall
        self._loop = GLib.MainLoop()
        self._status = 0
        self._source: SourcePart | None = None
        self._outputs = Outputs()
        self._source_stopping = False
        self._quitting = False
        self._pulse_due_s = time.monotonic() + PULSE_S
        self._pulses = 0
        self._blockage = Blockage()
        self._debug = DebugLog(spawn.secrets, wall=wall)
        hello = Hello(
            version=VERSION,
            instance=spawn.instance,
            stream=spawn.stream,
            epoch=spawn.epoch,
            pid=os.getpid(),
        )
        self._link = Link(
            listener,
            hello=hello,
            secrets=spawn.secrets,
            on_order=self._on_order,
            on_lost=self._on_manager_lost,
        )

    def run(self) -> int:
        """Work until told to quit; return the exit status."""
        sys.excepthook = self._on_bug
        threading.excepthook = lambda bug: self._on_bug(
            bug.exc_type, bug.exc_value, bug.exc_traceback
        )
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, self._on_sigterm)
        GLib.timeout_add(int(PULSE_S * 1000), self._on_pulse)
        GLib.timeout_add(int(FIRST_MANAGER_WITHIN_S * 1000), self._on_first_deadline)
        self._loop.run()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        return self._status

    def _on_order(self, order: ToWorker) -> None:
        match order:
            case StartSource():
                self._start_source(order)
            case StartRecord():
                self._start_output(RECORD, order.epoch, partial(self._recorder, order))
            case StartCustom():
                self._start_output(order.output.id, order.epoch, partial(self._custom, order))
            case StopPart(part="source"):
                self._stop_source(order.epoch, order.grace_s)
            case StopPart():
                self._stop_output(order)
            case _:
                self._quit(order.grace_s)

    def _start_source(self, order: StartSource) -> None:
        if self._source is not None:
            self._refuse("source", order.epoch, "the source before it is not gone")
            return
        self._source = SourcePart(order, report=self._tell)
        self._source.start()

    def _start_output(
        self,
        part: str,
        epoch: int,
        make: Callable[[Gst.Pipeline, tuple[SourceTrack, ...]], Output],
    ) -> None:
        source = self._source
        running = source.running if source else None
        if source is None or running is None:
            self._refuse(part, epoch, "no source runs")
        elif part in self._outputs:
            self._refuse(part, epoch, "the one before it is not gone")
        else:
            self._outputs.start(part, epoch, make(*running))
            if part == RECORD:
                source.release()

    def _recorder(
        self, order: StartRecord, source: Gst.Pipeline, tracks: tuple[SourceTrack, ...]
    ) -> Output:
        return Recorder(
            stream=self._spawn.stream,
            spec=order.record,
            epoch=order.epoch,
            sequence=order.sequence,
            source=source,
            tracks=tracks,
            report=self._tell,
            wall=self._wall,
        )

    def _custom(
        self, order: StartCustom, source: Gst.Pipeline, tracks: tuple[SourceTrack, ...]
    ) -> Output:
        return CustomOutput(
            spec=order.output,
            epoch=order.epoch,
            source=source,
            tracks=tracks,
            report=self._tell,
        )

    def _tell(self, fact: FromWorker) -> None:
        """Pass on what a part tells; its beginning and its failure with what it looked like."""
        if isinstance(fact, PartStarted | PartFailed):
            source = self._source.pipeline if self._source else None
            pipeline = source if fact.part == "source" else self._outputs.pipeline(fact.part)
            if pipeline is not None and (dot := draw(pipeline)) is not None:
                self._link.pulse(Graph(part=fact.part, epoch=fact.epoch, dot=dot))
            self._debug.flush()
        self._link.tell(fact)

    def _refuse(self, part: str, epoch: int, why: str) -> None:
        self._link.tell(PartFailed(part=part, epoch=epoch, origin=part, code="order", text=why))

    def _stop_source(self, epoch: int, grace_s: float) -> None:
        """Finish the outputs' files first, then stop the source, all within `grace_s`."""
        source = self._source
        if source is None or source.epoch != epoch:
            self._link.tell(PartGone(part="source", epoch=epoch))  # an older epoch's is long gone
            return
        if self._source_stopping:
            return
        self._source_stopping = True
        deadline_s = time.monotonic() + grace_s

        def stop() -> None:
            source.stop(max(0.0, deadline_s - time.monotonic()), self._on_source_end)

        self._outputs.end_all(grace_s * (1 - SOURCE_SHARE), stop)

    def _on_source_end(self) -> None:
        self._source = None
        self._source_stopping = False
        free()
        if self._quitting:
            self._end(0)

    def _stop_output(self, order: StopPart) -> None:
        if self._outputs.has(order.part, order.epoch):
            self._outputs.end(order.part, order.grace_s)
        else:
            self._link.tell(PartGone(part=order.part, epoch=order.epoch))

    def _on_manager_lost(self) -> None:
        """Decide what a worker does without its manager: it finishes its files and ends."""
        self._quit(QUIT_GRACE_S)

    def _on_first_deadline(self) -> bool:
        if not self._link.met_a_manager:
            self._quit(0.0)
        return GLib.SOURCE_REMOVE

    def _on_sigterm(self) -> bool:
        if self._quitting:
            self._end(_TOO_LATE)
        self._quit(QUIT_GRACE_S)
        return GLib.SOURCE_CONTINUE

    def _quit(self, grace_s: float) -> None:
        if self._quitting:
            return
        self._quitting = True
        GLib.timeout_add(int(grace_s * 1000), self._end, _TOO_LATE)
        if self._source is None:
            self._outputs.end_all(grace_s, partial(self._end, 0))
        else:
            self._stop_source(self._source.epoch, grace_s)

    def _end(self, status: int) -> None:
        self._status = status
        self._loop.quit()

    @lasting
    def _on_pulse(self) -> bool:
        now_s = time.monotonic()
        late_s = max(0.0, now_s - self._pulse_due_s)
        self._pulse_due_s = now_s + PULSE_S
        source = self._source
        tracks = source.progress() if source else ()
        self._link.pulse(
            Progress(
                at_s=now_s,
                late_s=late_s,
                epoch=source.epoch if source else 0,
                tracks=tracks,
                outputs=self._outputs.progress(),
                position_s=source.position_s if source else None,
                blocked=self._blockage.look(source.pipeline if source else None, tracks, now_s),
            )
        )
        self._pulses += 1
        if self._pulses % DEBUG_EVERY == 0:
            self._debug.flush()
        with suppress(OSError):  # a full disk: the old log is still there to write to
            logfile.keep_short(self._spawn.log_path)
        return GLib.SOURCE_CONTINUE

    def _on_bug(
        self, kind: type[BaseException], bug: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell of an exception that nobody caught, whatever thread it comes from.

        It is laid to the source, whose rebuild takes every part of the stream with it.
        """
        traceback.print_exception(kind, bug, trace)
        sys.stderr.flush()
        last_line = traceback.format_exception_only(kind, bug)[-1].strip()
        GLib.idle_add(self._tell_bug, kind.__name__, last_line)

    def _tell_bug(self, name: str, text: str) -> bool:
        epoch = self._source.epoch if self._source else 0
        self._link.tell(
            PartFailed(part="source", epoch=epoch, origin="python", code=name, text=text)
        )
        return GLib.SOURCE_REMOVE
