"""The stream's end of an isolated output: its media, handed to a process of that output's own.

    source:         tee ! proxysink                      (for each track)
    this feed:      proxysrc ! gdppay ! fdsink           a custom output, one socket a track
    its process:    fdsrc ! gdpdepay ! tee ! ...         a worker whose source is a FeedSource

A reader that is stopped, slow or dead is felt by the feed alone: what it does not take is lost in
the leaky queue of proxysrc.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from stream_manager.pipelines import sockets, teardown
from stream_manager.pipelines.callbacks import lasting
from stream_manager.pipelines.custom import CustomOutput
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.messages import (
    Fact,
    FeedReady,
    OutputProgress,
    PartFailed,
    PartGone,
    StartFeed,
)
from stream_manager.pipelines.spec import CustomSpec
from stream_manager.pipelines.tracks import SourceTrack

# Neither waits for a first buffer: a silent track must not hold up the others.
_WRITER = "gdppay ! fdsink fd={} sync=false async=false"


class FeedOutput:
    """Waits for the reader's connections, one a track, and then plays into them.

    Call it on the main thread only.
    """

    def __init__(
        self,
        order: StartFeed,
        *,
        source: Gst.Pipeline,
        tracks: Sequence[SourceTrack],
        report: Callable[[Fact], None],
    ) -> None:
        self._order = order
        self._source = source
        self._tracks = tuple(tracks)
        self._report = report
        self._listener: socket.socket | None = None
        self._watch = 0
        self._connections: list[socket.socket] = []
        self._output: CustomOutput | None = None

    @property
    def pipeline(self) -> Gst.Pipeline | None:
        """What it runs, once the reader has connected."""
        return self._output.pipeline if self._output is not None else None

    def start(self) -> None:
        """Listen; reports FeedReady, or PartFailed."""
        part, epoch = self._order.part, self._order.epoch
        try:
            listener = sockets.listen(self._order.path, kind=socket.SOCK_STREAM)
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "EIO")
            text = f"its media can't be handed on: {error}"
            self._report(PartFailed(part=part, epoch=epoch, origin="feed", code=code, text=text))
            return
        listener.setblocking(False)
        self._listener = listener
        self._watch = GLib.unix_fd_add_full(
            GLib.PRIORITY_DEFAULT,
            listener.fileno(),
            GLib.IOCondition.IN,
            lambda *_: self._on_connection(),
        )
        self._report(
            FeedReady(
                part=part,
                epoch=epoch,
                tracks=len(self._tracks),
                base_time_ns=self._source.get_base_time(),
            )
        )

    def stop(self, grace_s: float, on_gone: Callable[[], None]) -> None:
        """Hand on no more, and tear down within `grace_s`; reports PartGone, then calls."""
        self._close_listener()
        output = self._output

        def on_end() -> None:
            # A writer that hangs must not find another file behind its descriptor.
            if output not in teardown.abandoned:
                for connection in self._connections:
                    connection.close()
            on_gone()

        if output is None:
            self._report(PartGone(part=self._order.part, epoch=self._order.epoch))
            on_end()
        else:
            output.stop(grace_s, on_end)

    def progress(self) -> OutputProgress:
        """Return what was handed on so far."""
        if self._output is not None:
            return self._output.progress()
        return OutputProgress(
            part=self._order.part, epoch=self._order.epoch, bytes=0, first_s=None, last_s=None
        )

    @lasting
    def _on_connection(self) -> bool:
        assert self._listener is not None, "the watch goes with it"
        with suppress(BlockingIOError):
            connection = sockets.accept(self._listener, None)
            if connection is None:
                return GLib.SOURCE_CONTINUE
            connection.setblocking(False)  # a write that waits can then be cancelled
            self._connections.append(connection)
        if len(self._connections) == len(self._tracks):
            self._close_listener()
            self._play()
        return GLib.SOURCE_CONTINUE  # if it is over, the watch is removed

    def _play(self) -> None:
        writers = (_WRITER.format(connection.fileno()) for connection in self._connections)
        self._output = CustomOutput(
            spec=CustomSpec(id=self._order.part, description="  ".join(writers)),
            epoch=self._order.epoch,
            source=self._source,
            tracks=self._tracks,
            report=self._report,
        )
        self._output.start()

    def _close_listener(self) -> None:
        if self._listener is not None:
            GLib.source_remove(self._watch)
            self._listener.close()
            self._listener = None
            Path(self._order.path).unlink(missing_ok=True)
