"""The process of one stream: a GLib main loop that runs the parts its manager asks for.

It decides nothing: orders come in, facts go out. Without a manager it goes on, what fails waits for
the next one, and only after the grace that the last one gave it, if any, does it end.
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
from stream_manager.pipelines.debuglog import DebugLog
from stream_manager.pipelines.graph import draw
from stream_manager.pipelines.gst import GLib
from stream_manager.pipelines.identity import start_ticks
from stream_manager.pipelines.ledger import Ledger
from stream_manager.pipelines.link import Link
from stream_manager.pipelines.messages import (
    DUMP_SIGNAL,
    VERSION,
    Attend,
    Fact,
    Graph,
    Hello,
    PartFailed,
    PartStarted,
    Progress,
    Quit,
    Spawn,
    StartCustom,
    StartFeed,
    StartRecord,
    StartSource,
    StopPart,
    ToWorker,
)
from stream_manager.pipelines.pace import LOOK_S, Pace
from stream_manager.pipelines.parts import Parts
from stream_manager.pipelines.vitals import VitalsPage

DEBUG_EVERY = 5  # looks
QUIT_GRACE_S = 4.0
FIRST_MANAGER_WITHIN_S = 10.0

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
    """The process: its parts, its signals, its looks, and the way to the manager."""

    def __init__(self, spawn: Spawn, listener: socket.socket, *, wall: Callable[[], float]) -> None:
        """Serve `listener`; `wall` gives UTC seconds, for the names of files."""
        self._spawn = spawn
        self._loop = GLib.MainLoop()
        self._status = 0
        self._last_media_s: float | None = None
        self._orphan_grace_s: float | None = None
        self._orphaned: int | None = None  # the timer that ends it when no manager comes
        self._quitting = False
        self._look_due_s = time.monotonic() + LOOK_S
        self._looks = 0
        self._pace = Pace()
        self._vitals = VitalsPage()
        self._blockage = Blockage()
        self._debug = DebugLog(spawn.secrets, wall=wall)
        self._start_ticks = start_ticks(os.getpid()) or 0
        self._ledger = Ledger()
        self._link = Link(
            listener,
            hello=self._hello,
            ledger=self._ledger,
            secrets=spawn.secrets,
            on_order=self._on_order,
            on_lost=self._on_manager_lost,
        )
        self._parts = Parts(spawn.stream, tell=self._tell, wall=wall)

    def run(self) -> int:
        """Work until told to quit; return the exit status."""
        sys.excepthook = self._on_bug
        threading.excepthook = lambda bug: self._on_bug(
            bug.exc_type, bug.exc_value, bug.exc_traceback
        )
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, self._on_sigterm)
        GLib.timeout_add(int(LOOK_S * 1000), self._on_look)
        GLib.timeout_add(int(FIRST_MANAGER_WITHIN_S * 1000), self._on_first_deadline)
        self._loop.run()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        return self._status

    def _hello(self) -> Hello:
        """Say who this is and what it has: another manager may ask than the one that ordered it."""
        self._stay()
        self._pace.news(time.monotonic())
        return Hello(
            version=VERSION,
            instance=self._spawn.instance,
            stream=self._spawn.stream,
            epoch=self._spawn.epoch,
            pid=os.getpid(),
            start_ticks=self._start_ticks,
            digest=self._spawn.digest,
            cgroup=self._spawn.cgroup,
            parts=self._parts.standing(),
            ending=self._quitting,
            last_media_s=self._last_media_s,
            forgotten=self._ledger.forgotten,
            vitals_fd=self._vitals.fd,
        )

    def _on_order(self, order: ToWorker) -> None:
        self._pace.news(time.monotonic())
        match order:
            case Attend():
                self._orphan_grace_s = order.orphan_grace_s
            case StartSource():
                self._parts.start_source(order)
            case StartRecord():
                self._parts.start_record(order)
            case StartCustom():
                self._parts.start_custom(order)
            case StartFeed():
                self._parts.start_feed(order)
            case StopPart(part="source"):
                self._parts.stop_source(order.epoch, order.grace_s)
            case StopPart():
                self._parts.stop_output(order)
            case Quit():
                self._quit(order.grace_s)

    def _tell(self, fact: Fact) -> None:
        """Pass on what a part tells; its beginning and its failure with what it looked like."""
        if isinstance(fact, PartStarted | PartFailed):
            self._pace.news(time.monotonic())
            pipeline = self._parts.pipeline(fact.part)
            if pipeline is not None and (dot := draw(pipeline)) is not None:
                self._link.pulse(Graph(part=fact.part, epoch=fact.epoch, dot=dot))
            self._debug.flush()
        self._link.tell(fact)

    def _on_manager_lost(self) -> None:
        """Go on: the next manager will come, within the grace if there is one."""
        if self._orphan_grace_s is not None:
            self._orphaned = GLib.timeout_add(int(self._orphan_grace_s * 1000), self._on_orphaned)

    def _on_orphaned(self) -> bool:
        self._orphaned = None
        print(f"no manager came for {self._orphan_grace_s:g} s: ending", flush=True)  # noqa: T201 - its log
        self._quit(QUIT_GRACE_S)
        return GLib.SOURCE_REMOVE

    def _stay(self) -> None:
        if self._orphaned is not None:
            GLib.source_remove(self._orphaned)
            self._orphaned = None

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
        self._parts.end(grace_s, partial(self._end, 0))

    def _end(self, status: int) -> None:
        self._status = status
        self._loop.quit()

    @lasting
    def _on_look(self) -> bool:
        now_s = time.monotonic()
        late_s = max(0.0, now_s - self._look_due_s)
        self._look_due_s = now_s + LOOK_S
        tracks, outputs = self._parts.tracks(), self._parts.outputs()
        blocked = self._blockage.look(self._parts.pipeline("source"), tracks, now_s)
        pictures = (it.last_s for it in tracks if it.name.startswith("video"))
        self._last_media_s = max((it for it in pictures if it), default=self._last_media_s)
        self._vitals.renew(now_s, self._last_media_s)
        if self._pace.is_due(tracks, outputs, now_s):
            self._link.pulse(
                Progress(
                    at_s=now_s,
                    late_s=late_s,
                    epoch=self._parts.source_epoch,
                    tracks=tracks,
                    outputs=outputs,
                    position_s=self._parts.position_s,
                    blocked=blocked,
                )
            )
            self._parts.reported()
        self._looks += 1
        if self._looks % DEBUG_EVERY == 0:
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
        epoch = self._parts.source_epoch
        self._link.tell(
            PartFailed(part="source", epoch=epoch, origin="python", code=name, text=text)
        )
        return GLib.SOURCE_REMOVE
