"""The parts of one worker: its source and its outputs, started and stopped one after another."""

import time
from collections.abc import Callable
from functools import partial

from stream_manager.pipelines.custom import CustomOutput
from stream_manager.pipelines.feeding import FeedOutput
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import (
    Fact,
    OutputProgress,
    PartFailed,
    PartGone,
    Standing,
    StartCustom,
    StartFeed,
    StartRecord,
    StartSource,
    StopPart,
    TrackProgress,
)
from stream_manager.pipelines.outputs import Output, Outputs, free
from stream_manager.pipelines.record import PART as RECORD
from stream_manager.pipelines.record import Recorder
from stream_manager.pipelines.source import SourcePart
from stream_manager.pipelines.tracks import SourceTrack

SOURCE_SHARE = 0.25  # of a grace, kept for the source after its outputs have finished


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
        self._outputs = Outputs()
        self._on_end: Callable[[], None] | None = None

    @property
    def source_epoch(self) -> int:
        """The epoch of the source that there is; 0 without one."""
        return self._source.epoch if self._source else 0

    @property
    def position_s(self) -> float | None:
        """Where in its file the source is; None when it plays none."""
        return self._source.position_s if self._source else None

    def pipeline(self, part: str) -> Gst.Pipeline | None:
        """Return what a part runs; None where it is not there."""
        if part == "source":
            return self._source.pipeline if self._source else None
        return self._outputs.pipeline(part)

    def standing(self) -> tuple[Standing, ...]:
        """Return the parts that there are."""
        source = self._source
        if source is None:
            return self._outputs.standing()
        here = Standing(part="source", epoch=source.epoch, ending=self._source_stopping)
        return (here, *self._outputs.standing())

    def tracks(self) -> tuple[TrackProgress, ...]:
        """Return what each track has brought, with the gaps since the last report."""
        return self._source.progress() if self._source else ()

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        if self._source is not None:
            self._source.reported()

    def outputs(self) -> tuple[OutputProgress, ...]:
        """Return what each output has taken."""
        return self._outputs.progress()

    def end(self, grace_s: float, then: Callable[[], None]) -> None:
        """Finish the files and stop everything within `grace_s`; `then` follows."""
        self._on_end = then
        if self._source is None:
            self._outputs.end_all(grace_s, then)
        else:
            self.stop_source(self._source.epoch, grace_s)

    def start_record(self, order: StartRecord) -> None:
        """Attach the recorder to the source that runs; a failure is told."""
        self._start_output(RECORD, order.epoch, partial(self._recorder, order))

    def start_custom(self, order: StartCustom) -> None:
        """Attach another output to it; a failure is told."""
        self._start_output(order.output.id, order.epoch, partial(self._custom, order))

    def start_feed(self, order: StartFeed) -> None:
        """Hand its tracks to the process of another output; a failure is told."""
        self._start_output(order.part, order.epoch, partial(self._feed, order))

    def start_source(self, order: StartSource) -> None:
        """Build and play the source; a failure is told."""
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
            if part == RECORD or source.is_feed:
                source.release()

    def _recorder(
        self, order: StartRecord, source: Gst.Pipeline, tracks: tuple[SourceTrack, ...]
    ) -> Output:
        return Recorder(
            stream=self._stream,
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

    def _feed(
        self, order: StartFeed, source: Gst.Pipeline, tracks: tuple[SourceTrack, ...]
    ) -> Output:
        return FeedOutput(order, source=source, tracks=tracks, report=self._tell)

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

        self._outputs.end_all(grace_s * (1 - SOURCE_SHARE), stop)

    def _on_source_end(self) -> None:
        self._source = None
        self._source_stopping = False
        free()
        if self._on_end is not None:
            self._on_end()

    def stop_output(self, order: StopPart) -> None:
        """End an output, or say that it is gone."""
        if self._outputs.has(order.part, order.epoch):
            self._outputs.end(order.part, order.grace_s)
        else:
            self._tell(PartGone(part=order.part, epoch=order.epoch))
