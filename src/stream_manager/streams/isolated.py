"""An output in a process of its own, as a component beside the stream's worker.

    Start: the stream's worker is asked for a feed, and a process is forked
           both are there             -> the process plays the feed as its source
           its source runs            -> its output is started
           its output runs            -> Started; what that takes proves it
    Stop:  the process ends, then the feed -> Gone

It has no parent: what it does to itself, over and over, must not replace the stream's worker.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from stream_manager.config import Limits
from stream_manager.pipelines.messages import (
    FeedReady,
    FromWorker,
    Graph,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    Spawn,
    StartCustom,
    StartFeed,
    StartSource,
    StopPart,
)
from stream_manager.pipelines.spec import CustomSpec, FeedSource
from stream_manager.recovery import Action, Event, Failed, Fault, Gone, Start, Started
from stream_manager.streams.meeting import socket_path
from stream_manager.streams.process import TERM_GRACE_S
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.upkeep import Means, Upkeep
from stream_manager.streams.worker import Worker

FromFeed = FeedReady | PartStarted | PartFailed | PartGone


class IsolatedOutput:
    """Component, and the owner of the process that it runs in.

    order: what to spawn, its `stream` the component. host: the stream's worker. judge: told what
    the output has taken, and when that was so. taken: the newest of it.
    """

    def __init__(
        self,
        output: CustomSpec,
        order: Spawn,
        *,
        host: Worker,
        limits: Limits,
        snapshots: Snapshots,
        means: Means,
        post: Callable[[Event], None],
        judge: Callable[[str, OutputProgress, float], None],
    ) -> None:
        self.id = order.stream
        self._output = output
        self._host = host
        self._post = post
        self._judge = judge
        self._upkeep = Upkeep(
            order,
            limits=limits,
            recorded=False,
            snapshots=snapshots,
            means=means,
            fail=self._fail,
        )
        self.casebook = self._upkeep.casebook
        self.worker = Worker(order, self, self._upkeep, means)
        self._socket_dir = means.socket_dir
        self.taken: OutputProgress | None = None
        self._epoch = 0
        self._connected = False
        self._feed: FeedReady | None = None
        self._gone: Gone | None = None  # its process is, and its feed is still to go

    # --- what is decided --------------------------------------------------------------------------

    def begin(self, action: Action) -> None:
        """Begin to start, or to end, the feed and the process."""
        self._epoch = action.epoch  # at a stop too: an earlier manager may have begun the feed
        if isinstance(action, Start):
            self._connected, self._feed, self._gone = False, None, None
            path = str(self._feed_path)
            self._host.send(StartFeed(part=self._output.id, epoch=action.epoch, path=path))
        elif not self._host.reachable:
            action = replace(action, grace_s=0.0)  # its media ended with that: nobody waits for it
        self.worker.begin(action)

    def look(self, *, lag_s: float, runs: bool) -> None:
        """Find a process that has gone silent or takes too much; `runs`: it should say something.

        One whose feed was lost with the stream's worker waits no longer.
        """
        self._upkeep.limits.look(self.worker.pid)
        if runs:
            self.worker.look(lag_s=lag_s)
        if not self._host.reachable:
            self._feed_gone(abandoned=False)

    # --- what the stream's worker says of the feed ------------------------------------------------

    def fed(self, fact: FromFeed) -> None:
        """Take what is told of the feed."""
        if fact.epoch != self._epoch:
            return
        match fact:
            case FeedReady():
                self._feed = fact
                self._play()
            case PartFailed(origin="teardown"):
                self._fail(_fault(fact))
            case PartFailed():
                lost = Fault(origin="feed", code="lost", text=f"it is given no media: {fact.text}")
                self._fail_later(lost)
            case PartGone():
                self._feed_gone(abandoned=fact.abandoned)

    @property
    def _feed_path(self) -> Path:
        return socket_path(self._socket_dir, self.id, self._epoch).with_suffix(".feed")

    def _play(self) -> None:
        """Play the feed, once both ends are there."""
        if self._feed is None or not self._connected:
            return
        source = FeedSource(
            path=str(self._feed_path),
            tracks=self._feed.tracks,
            base_time_ns=self._feed.base_time_ns,
        )
        self.worker.send(StartSource(epoch=self._epoch, source=source, hold=True))

    def _feed_gone(self, *, abandoned: bool) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            with suppress(OSError):  # the host has removed it, or the file system only reads
                self._feed_path.unlink()
            self._post(replace(gone, abandoned=gone.abandoned or abandoned))

    # --- what its own process says (Owner) --------------------------------------------------------

    def post(self, event: Event) -> None:
        """Take what is told of the process: of its beginning and end there is more to be done."""
        match event:
            case Started():
                self._connected = True
                self._play()
            case Gone():
                self._gone = event
                stop = StopPart(part=self._output.id, epoch=event.epoch, grace_s=TERM_GRACE_S)
                if not (self._host.reachable and self._host.send(stop)):
                    self._feed_gone(abandoned=False)
            case _:
                self._post(event)

    def hear(self, message: FromWorker) -> None:
        """Take what the process says of its parts."""
        match message:
            case Progress():
                for output in message.outputs:
                    self.taken = output
                    self._judge(self.id, output, message.at_s)
            case PartStarted(part="source"):
                self.worker.send(StartCustom(epoch=self._epoch, output=self._output))
            case PartStarted():
                self._post(Started(id=self.id, epoch=message.epoch))
            case PartFailed():
                self._fail_later(_fault(message))
            case Graph():
                self.casebook.drew(message)
            case _:
                pass  # that a part of it is gone: the process follows

    async def written(self) -> bool:
        """Say that it tells of nothing that is to be kept."""
        return True

    def died(self) -> None:
        """Note that it is gone."""
        self.taken = None

    def _fail(self, fault: Fault) -> None:
        self._post(Failed(id=self.id, epoch=self._epoch, fault=fault))

    def _fail_later(self, fault: Fault) -> None:
        """Tell of what a broken feed may have caused when it is known whether an end broke it.

        By then the process has been seen to end, or the source to be down.
        """
        failed = Failed(id=self.id, epoch=self._epoch, fault=fault)
        asyncio.get_running_loop().call_later(TERM_GRACE_S, self._post, failed)


def _fault(fact: PartFailed) -> Fault:
    return Fault(origin=fact.origin, code=fact.code, status=fact.status, text=fact.text)


def order_of(output: CustomSpec, stream: Spawn) -> Spawn:
    """Return what to spawn for an output, from what its stream's worker is spawned by."""
    log = Path(stream.log_path)
    return msgspec.structs.replace(
        stream,
        stream=f"{stream.stream}/{output.id}",
        log_path=str(log.with_name(f"{log_name(stream.stream, output.id)}.log")),
    )


def log_name(stream: str, output: str) -> str:
    """Return the name of the log that an isolated output's process writes, without its ending."""
    return f"{stream}.{output}"
