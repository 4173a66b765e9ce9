"""The parts of one worker: its source and its outputs, started and stopped one after another."""

import gc
import time
from collections.abc import Callable

from stream_manager.pipelines.gst import GLib
from stream_manager.pipelines.messages import (
    Fact,
    OutputProgress,
    PartFailed,
    PartGone,
    Standing,
    StartRecord,
    StartSource,
    TrackProgress,
)
from stream_manager.pipelines.record import Recorder
from stream_manager.pipelines.source import SourcePart

SOURCE_SHARE = 0.25  # of a grace, kept for the source after its outputs have finished

_ABANDON_MS = 100  # after a recorder's own deadline: it may not call back


class Parts:
    """Runs the parts of `stream`. Call it on the GLib main thread only.

    tell: takes what is to be known of them. wall: gives UTC seconds, for the names of files.
    """

    def __init__(
        self, stream: str, *, tell: Callable[[Fact], None], wall: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._tell = tell
        self._wall = wall
        self._source: SourcePart | None = None
        self._source_stopping = False
        self._record: Recorder | None = None
        self._record_epoch = 0
        self._after_record: list[Callable[[], None]] = []
        self._on_end: Callable[[], None] | None = None

    @property
    def source_epoch(self) -> int:
        """The epoch of the source that there is; 0 without one."""
        return self._source.epoch if self._source else 0

    @property
    def position_s(self) -> float | None:
        """Where in its file the source is; None when it plays none."""
        return self._source.position_s if self._source else None

    def standing(self) -> tuple[Standing, ...]:
        """Return the parts that there are."""
        parts = []
        if self._source is not None:
            ending = self._source_stopping
            parts.append(Standing(part="source", epoch=self._source.epoch, ending=ending))
        if self._record is not None:
            ending = bool(self._after_record)
            parts.append(Standing(part="record", epoch=self._record_epoch, ending=ending))
        return tuple(parts)

    def tracks(self) -> tuple[TrackProgress, ...]:
        """Return what each track has brought, with the gaps since the last call."""
        return self._source.progress() if self._source else ()

    def outputs(self) -> tuple[OutputProgress, ...]:
        """Return what each output has handed to the operating system."""
        return (self._record.progress(),) if self._record else ()

    def end(self, grace_s: float, then: Callable[[], None]) -> None:
        """Finish the files and stop everything within `grace_s`; `then` follows."""
        self._on_end = then
        if self._source is None:
            self._end_record(grace_s, then)
        else:
            self.stop_source(self._source.epoch, grace_s)

    def start_source(self, order: StartSource) -> None:
        """Build and play the source; a failure is told."""
        if self._source is not None:
            self._refuse("source", order.epoch, "the source before it is not gone")
            return
        self._source = SourcePart(order, report=self._tell)
        self._source.start()

    def start_record(self, order: StartRecord) -> None:
        """Attach the recorder to the source that runs; a failure is told."""
        source = self._source
        running = source.running if source else None
        if source is None or running is None:
            self._refuse("record", order.epoch, "no source runs")
            return
        if self._record is not None:
            self._refuse("record", order.epoch, "the recorder before it is not gone")
            return
        pipeline, tracks = running
        self._record_epoch = order.epoch
        self._record = Recorder(
            stream=self._stream,
            spec=order.record,
            epoch=order.epoch,
            sequence=order.sequence,
            source=pipeline,
            tracks=tracks,
            report=self._tell,
            wall=self._wall,
        )
        self._record.start()
        source.release()

    def _refuse(self, part: str, epoch: int, why: str) -> None:
        self._tell(PartFailed(part=part, epoch=epoch, origin=part, code="order", text=why))

    def stop_source(self, epoch: int, grace_s: float) -> None:
        """Finish the outputs' files first, then stop the source, all within `grace_s`."""
        source = self._source
        if source is None or source.epoch != epoch:
            self._tell(PartGone(part="source", epoch=epoch))  # an older epoch's is long gone
            return
        if self._source_stopping:
            return
        self._source_stopping = True
        deadline_s = time.monotonic() + grace_s

        def stop() -> None:
            source.stop(max(0.0, deadline_s - time.monotonic()), self._on_source_end)

        self._end_record(grace_s * (1 - SOURCE_SHARE), stop)

    def _on_source_end(self) -> None:
        self._source = None
        self._source_stopping = False
        _free()
        if self._on_end is not None:
            self._on_end()

    def stop_record(self, epoch: int, grace_s: float) -> None:
        """Finish the recorder's files and stop it, within `grace_s`."""
        if self._record is None or self._record_epoch != epoch:
            self._tell(PartGone(part="record", epoch=epoch))
        else:
            self._end_record(grace_s)

    def _end_record(self, grace_s: float, then: Callable[[], None] = lambda: None) -> None:
        """Stop the recorder; `then` follows once, when it is gone or its grace is over."""
        record = self._record
        if record is None:
            then()
            return
        self._after_record.append(then)
        if len(self._after_record) > 1:
            return  # being stopped already

        def end() -> None:
            if self._record is record:  # the recorder's own end and our timer both come here
                GLib.source_remove(timer)
                self._record = None
                _free()
                waiting, self._after_record = self._after_record, []
                for callback in waiting:
                    callback()

        def on_timer() -> bool:
            end()
            return GLib.SOURCE_CONTINUE  # end() has removed it

        timer = GLib.timeout_add(int(grace_s * 1000) + _ABANDON_MS, on_timer)
        record.stop(grace_s, end)


def _free() -> None:
    """Free a part that has ended: pipelines and Python callbacks hold each other.

    Left to the collector's own pace they kept 40 descriptors and grew by 30 kB a rebuild; a
    collection takes 3 ms, for all that is older than the fork is frozen (measured).
    """
    gc.collect()
