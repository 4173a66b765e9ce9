"""The recorder: one output of a worker, a pipeline of its own that the source can't feel.

    source:  tee ! proxysink          (for each track, fresh at each start)
    record:  proxysrc ! parse to the container's form ! [segment writer] ! mux ! fdsink

The queue inside proxysrc is leaky: when the disk is slow or hangs, data is lost there and the
source goes on. Everything that may block as long as a disk does (fsync, close, set_state) runs
on the recorder's own helper thread; the public methods are for the main thread and return at once.
"""

import errno
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gi.repository import GLib, Gst

from stream_manager.pipelines import containers, faults, teardown
from stream_manager.pipelines.disk_thread import DiskThread
from stream_manager.pipelines.messages import (
    Fact,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    SegmentClosed,
    SegmentOpened,
)
from stream_manager.pipelines.segment import Segment
from stream_manager.pipelines.spec import RecordSpec
from stream_manager.pipelines.tap import Tap
from stream_manager.pipelines.tracks import SourceTrack
from stream_manager.pipelines.writer import SegmentWriter

if TYPE_CHECKING:
    from stream_manager.pipelines.containers import Muxed

PART: Final = "record"
LATE_AT_MOST_S = 9.0  # pictures are held back for a second, and wait in a queue for eight
_WATCH_MS = 250
_DRAIN_SHARE = 0.7  # of a stop's grace, for finishing the files; the rest is for the teardown


class Recorder:
    """Records the tracks of a playing source pipeline into segments.

    `epoch` is the record part's; `sequence` numbers the first segment; `wall` gives UTC seconds.
    `report` is called on the main thread alone. After a failure nothing more is written, and
    everything waits for `stop`.
    """

    def __init__(
        self,
        *,
        stream: str,
        spec: RecordSpec,
        epoch: int,
        sequence: int,
        source: Gst.Pipeline,
        tracks: Sequence[SourceTrack],
        report: Callable[[Fact], None],
        wall: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._spec = spec
        self._epoch = epoch
        self._sequence = sequence
        self._source = source
        self._tracks = tuple(tracks)
        self._report = report
        self._wall = wall
        self._container: Muxed = "ts"
        self.pipeline = Gst.Pipeline.new(PART)
        self._taps: list[Tap] = []
        self._disk = DiskThread(f"{stream}-{PART}")
        self._writer = SegmentWriter(
            pipeline=self.pipeline,
            segment_s=spec.segment_s,
            sequence=sequence,
            create=self._create,
            on_error=self._on_create_error,
            on_opened=self._on_opened,
            on_finished=self._on_finished,
            on_drained=self._on_drained,
        )
        self._timers: dict[str, int] = {}
        self._failed = False
        self._flows = True
        self._stopping = False
        self._tearing_down = False
        self._on_gone: Callable[[], None] | None = None
        self._closed_bytes = 0
        self._bytes = 0
        self._path = ""
        self._first_s: float | None = None
        self._last_s: float | None = None
        self._picture_s = 0.0

    def start(self) -> None:
        """Build, link and play; reports PartStarted, or PartFailed.

        A volume that is missing or read-only shows later, when the first keyframe comes.
        """
        try:
            self._container = containers.choose(
                self._spec.container, [track.codec for track in self._tracks]
            )
        except containers.ContainerError as error:
            self._fail("record", "container", str(error))
            return
        if not any(track.kind == "video" for track in self._tracks):
            self._fail("record", "no-video", "a recording needs a video track")
            return
        try:
            for track in self._tracks:
                self._add(track)
        except GLib.Error as error:
            self._fail("record", faults.code_of(error), error.message)
            return
        bus = self.pipeline.get_bus()
        bus.add_watch(GLib.PRIORITY_DEFAULT, self._on_message)
        # The source's clock and base time: a buffer means the same instant in both pipelines.
        self.pipeline.use_clock(self._source.get_clock())
        self.pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        self.pipeline.set_base_time(self._source.get_base_time())
        self.pipeline.set_state(Gst.State.PLAYING)
        for tap in self._taps:
            tap.open()
        self._timers["watch"] = GLib.timeout_add(_WATCH_MS, self._on_watch)
        described = tuple(track.described() for track in self._tracks)
        self._report(PartStarted(part=PART, epoch=self._epoch, tracks=described))

    def stop(self, grace_s: float, on_gone: Callable[[], None] | None = None) -> None:
        """Finish the files and tear down, within `grace_s`; reports PartGone, then `on_gone`.

        Past the grace it is abandoned, hung in the kernel: the source has long been free of it.
        Where too many hang already, that is the fault "teardown".
        """
        self._stopping = True
        self._on_gone = on_gone
        self._timers["deadline"] = GLib.timeout_add(int(grace_s * 1000), self._on_deadline)
        for tap in self._taps:
            tap.close()
        self._writer.let_go()
        if self._flows and self._taps and not self._writer.drained:
            drain_ms = int(grace_s * _DRAIN_SHARE * 1000)
            self._timers["drain"] = GLib.timeout_add(drain_ms, self._tear_down)
        else:
            self._tear_down()

    def progress(self) -> OutputProgress:
        """Return what the operating system has taken so far, in this epoch, as of this call.

        Sound alone is no progress while pictures wait to be written.
        """
        open_bytes = sum(segment.written_bytes for segment in self._writer.open_segments)
        seen_s, self._picture_s = self._picture_s, self._writer.picture_s
        waits = self._picture_s == seen_s and any(it.waits for it in self._taps if it.video)
        if self._closed_bytes + open_bytes > self._bytes and not waits:
            self._bytes = self._closed_bytes + open_bytes
            self._last_s = time.monotonic()
            if self._first_s is None:
                self._first_s = self._last_s
        return OutputProgress(
            part=PART,
            epoch=self._epoch,
            bytes=self._bytes,
            first_s=self._first_s,
            last_s=self._last_s,
            segment=self._path,
            sequence=self._sequence,
        )

    def _add(self, track: SourceTrack) -> None:
        tap = Tap(self._source, track)
        self._taps.append(tap)
        wanted = Gst.Caps.from_string(containers.caps(track.codec, self._container) or "ANY")
        fits = wanted is not None and track.caps.is_subset(wanted)
        launch = containers.AS_IT_IS if fits else containers.form(track.codec, self._container)
        form = Gst.parse_bin_from_description(launch, ghost_unlinked_pads=True)
        self.pipeline.add(tap.proxysrc)
        self.pipeline.add(form)
        tap.proxysrc.link(form)
        pad = form.get_static_pad("src")
        assert pad is not None
        self._writer.add(track, pad, tap.crowded)

    def _create(
        self, sequence: int, begin_ns: int, *, after_jump: bool, continues: bool
    ) -> Segment:
        late_s = self._late_s(begin_ns)
        segment = Segment.create(
            directory=Path(self._spec.directory),
            stream=self._stream,
            began_at=self._wall() - late_s,
            began_s=time.monotonic() - late_s,
            container=self._container,
            sequence=sequence,
            begin_ns=begin_ns,
            after_jump=after_jump,
            continues=continues,
        )
        self._path, self._sequence = str(segment.path), sequence
        return segment

    def _late_s(self, running_ns: int) -> float:
        """Return how long ago a picture came, by its running time: a live source's is of arrival.

        Where the two have parted (a camera's time leapt), it counts as come just now.
        """
        clock = self._source.get_clock()
        now_ns = clock.get_time() - self._source.get_base_time() if clock else running_ns
        late_s = (now_ns - running_ns) / Gst.SECOND
        return late_s if 0 <= late_s <= LATE_AT_MOST_S else 0.0

    def _on_opened(self, segment: Segment) -> None:
        fact = SegmentOpened(
            part=PART,
            epoch=self._epoch,
            sequence=segment.sequence,
            path=str(segment.path),
            began_at=segment.began_at,
            container=segment.container,
            tracks=segment.tracks,
            continues=segment.continues,
        )
        GLib.idle_add(self._report, fact)

    def _on_watch(self) -> bool:
        self._disk.run(self._writer.release_silent)
        return GLib.SOURCE_CONTINUE

    def _on_create_error(self, error: OSError) -> None:
        code = errno.errorcode.get(error.errno or 0, "OSError")
        GLib.idle_add(self._fail, "open", code, str(error))

    def _on_message(self, _bus: Gst.Bus, message: Gst.Message) -> bool:
        reading = faults.read(message)
        if reading is not None:
            self._flows = False
            self._writer.fail()
            path = self._path
            for segment in self._writer.open_segments:
                if segment.owns(message.src):
                    segment.broken = True
                    path = str(segment.path)
            self._fail(reading.origin, reading.code, f"{path}: {reading.text}")
        return GLib.SOURCE_CONTINUE

    def _fail(self, origin: str, code: str, text: str) -> None:
        """Report the first failure; what it drags along would only hide it."""
        if not self._failed:
            self._failed = True
            self._report(
                PartFailed(part=PART, epoch=self._epoch, origin=origin, code=code, text=text)
            )

    def _on_finished(self, segment: Segment) -> None:
        self._disk.run(partial(self._close, segment))

    def _close(self, segment: Segment) -> None:
        size, failure = 0, None
        try:
            size = segment.close()
        except OSError as error:
            failure = error
        GLib.idle_add(self._on_closed, segment, size, failure)

    def _on_closed(self, segment: Segment, size: int, failure: OSError | None) -> None:
        self._closed_bytes += size
        self._writer.closed(segment)
        if failure is not None:
            code = errno.errorcode.get(failure.errno or 0, "OSError")
            self._fail("fsync", code, f"{segment.path}: {failure.strerror}")
        elif segment.finished or not size:
            self._report(
                SegmentClosed(
                    part=PART,
                    epoch=self._epoch,
                    sequence=segment.sequence,
                    path=str(segment.path),
                    duration_s=segment.duration_s,
                    bytes=size,
                    holes=segment.holes,
                )
            )

    def _on_drained(self) -> None:
        GLib.idle_add(self._finish)

    def _finish(self) -> None:
        if self._stopping:
            self._tear_down()

    def _tear_down(self) -> bool:
        if not self._tearing_down:
            self._tearing_down = True
            self._disk.run(self._free)
        return GLib.SOURCE_CONTINUE  # the timers end together, in _end

    def _free(self) -> None:
        self.pipeline.set_state(Gst.State.NULL)
        self._writer.disconnect()
        for segment in self._writer.open_segments:
            self._close(segment)
        GLib.idle_add(self._on_free)

    def _on_free(self) -> None:
        if self in teardown.abandoned:
            teardown.abandoned.discard(self)
        else:
            self._end(PartGone(part=PART, epoch=self._epoch))
        self._disk.end()

    def _on_deadline(self) -> bool:
        if teardown.abandon(self):
            self._end(PartGone(part=PART, epoch=self._epoch, abandoned=True))
        else:
            where = self._path or self._spec.directory
            text = f"{where}: the disk did not let go of the recording, nor of others before"
            self._end(
                PartFailed(
                    part=PART, epoch=self._epoch, origin="teardown", code="deadline", text=text
                )
            )
        return GLib.SOURCE_CONTINUE

    def _end(self, fact: Fact) -> None:
        for timer in self._timers.values():
            GLib.source_remove(timer)
        self._timers.clear()
        self.pipeline.get_bus().remove_watch()
        self._report(fact)
        if self._on_gone is not None:
            self._on_gone()
