"""A media file played in real time for ever, its running time continuous over every turn.

    filesrc ! typefind ! DEMUXER, and for each track: queue ! parser ! identity sync=true

Nothing is held after `identity`, so a track is over when its end arrives there. That end, and
the flushes of seeks, go no further: what follows sees one endless stream. When every track is
over the demuxer is sent back to the beginning, the pads' offsets raised by the time played.
(Segment seeks would need no offsets, but tsdemux refuses them (measured).)
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from stream_manager.pipelines.codecs import Chain
from stream_manager.pipelines.elements import BadSourceError, make
from stream_manager.pipelines.gst import Gst

_DEMUXERS = {
    "video/quicktime": "qtdemux",
    "application/x-3gp": "qtdemux",
    "video/x-matroska": "matroskademux",
    "video/webm": "matroskademux",
    "video/mpegts": "tsdemux",
}
_PACE = "pace"


class FileLoop:
    """The reading end of `pipeline`: finds the demuxer for a file, and turns it round."""

    def __init__(self, path: str, *, position_s: float) -> None:
        """Play `path` from the last keyframe before `position_s` that its index knows."""
        self.pipeline = Gst.Pipeline()
        self._start_ns = int(position_s * Gst.SECOND)
        self._demuxer: Gst.Element | None = None
        self._tracks: list[_PacedTrack] = []
        self._lock = threading.Lock()  # each track ends in a thread of its own
        self._played_ns = 0
        self._cleanup = ExitStack()
        self._reader, self._typefind = make("filesrc"), make("typefind")
        self._reader.set_property("location", path)
        for element in (self._reader, self._typefind):
            self.pipeline.add(element)
        self._reader.link(self._typefind)

    def open(
        self,
        *,
        on_demuxer: Callable[[Gst.Element], None],
        on_refused: Callable[[BadSourceError], None],
    ) -> None:
        """Tell, in a streaming thread, of the demuxer once the file's type is known, or of why not.

        The demuxer runs only after `on_demuxer` has returned, so no pad of it is missed.
        """

        def on_type(_typefind: Gst.Element, _probability: int, caps: Gst.Caps) -> None:
            try:
                self._demuxer = demuxer = _demuxer_for(caps)
            except BadSourceError as refusal:
                on_refused(refusal)
                self._link(make("fakesink"))  # else typefind's own error might be told first
                return
            on_demuxer(demuxer)
            if self._start_ns:
                handler = demuxer.connect("no-more-pads", lambda _: self._seek(self._start_ns))
                self._cleanup.callback(demuxer.disconnect, handler)
            self._link(demuxer)

        handler = self._typefind.connect("have-type", on_type)
        self._cleanup.callback(self._typefind.disconnect, handler)

    def _link(self, element: Gst.Element) -> None:
        self.pipeline.add(element)
        self._typefind.link(element)
        element.sync_state_with_parent()

    def paced(self, chain: Chain) -> Chain:
        """Return `chain` with what holds a file's track to real time."""
        pace = f"identity name={_PACE} sync=true silent=true"
        return replace(chain, launch=f"queue ! {chain.launch} ! {pace}")

    def loop(self, chain: Gst.Bin) -> None:
        """Take part of the turns: `chain` was launched from what paced() returned."""
        pace = chain.get_by_name(_PACE)
        assert pace is not None, "a paced chain ends in an identity"
        # Until the first seek is done, what comes is from before the position asked for.
        track = _PacedTrack(pace, is_open=self._start_ns == 0, on_over=self._on_track_over)
        with self._lock:
            self._tracks.append(track)
        self._cleanup.callback(track.close)

    @property
    def position_s(self) -> float | None:
        """Where in the file the first track is; None before it has begun."""
        return self._tracks[0].position_s if self._tracks else None

    def close(self) -> None:
        """Disconnect every callback; the pipeline must be in NULL."""
        self._cleanup.close()
        self._tracks.clear()
        self._demuxer = None

    def _on_track_over(self) -> None:
        with self._lock:
            if not all(track.is_over for track in self._tracks):
                return
            played_ns = max(track.running_end_ns for track in self._tracks)
            empty = played_ns <= self._played_ns and self._start_ns == 0
            self._played_ns = played_ns
            self._start_ns = 0
            for track in self._tracks:
                if empty:
                    track.end()
                else:
                    track.begin(offset_ns=played_ns)
        if not empty:
            self._seek(0)

    def _seek(self, position_ns: int) -> None:
        """Seek from a thread of its own: it waits for the streaming threads, this may be one."""
        demuxer = self._demuxer
        assert demuxer is not None, "tracks come from a demuxer"
        seek = Gst.Event.new_seek(
            1.0,
            Gst.Format.TIME,
            Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT | Gst.SeekFlags.SNAP_BEFORE,
            Gst.SeekType.SET,
            position_ns,
            Gst.SeekType.NONE,
            0,
        )
        threading.Thread(target=demuxer.send_event, args=(seek,), name="seek", daemon=True).start()


class _PacedTrack:
    """One track at the pad behind its `identity`, where it is over in real time."""

    def __init__(self, pace: Gst.Element, *, is_open: bool, on_over: Callable[[], None]) -> None:
        self.is_over = False
        self.running_end_ns = 0
        sink, pad = pace.get_static_pad("sink"), pace.get_static_pad("src")
        assert sink is not None, "an identity has one sink pad"
        assert pad is not None, "an identity has one source pad"
        self._sink = sink
        self._pad = pad
        self._is_open = is_open
        self._on_over = on_over
        self._start_ns = 0  # of the segment, in its buffers' own time
        self._end_ns = 0  # of its buffers so far
        self._segment: Gst.Event | None = None
        self._probes = (
            pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer),
            pad.add_probe(
                Gst.PadProbeType.EVENT_DOWNSTREAM | Gst.PadProbeType.EVENT_FLUSH, self._on_event
            ),
        )

    @property
    def position_s(self) -> float | None:
        known, position_ns = self._pad.query_position(Gst.Format.TIME)
        return position_ns / Gst.SECOND if known else None

    def begin(self, *, offset_ns: int) -> None:
        """Expect the next turn, which starts at running time `offset_ns`."""
        self.is_over = False
        self._sink.set_offset(offset_ns)  # ahead of `identity`, which keeps time by it

    def end(self) -> None:
        """Let those who follow see the end, for no turn brings anything."""
        peer = self._pad.get_peer()
        if peer is not None:
            peer.send_event(Gst.Event.new_eos())

    def close(self) -> None:
        for probe in self._probes:
            self._pad.remove_probe(probe)

    def _on_buffer(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        if not self._is_open or buffer is None:
            return Gst.PadProbeReturn.DROP
        if buffer.pts != Gst.CLOCK_TIME_NONE:
            length_ns = buffer.duration if buffer.duration != Gst.CLOCK_TIME_NONE else 0
            if buffer.pts + length_ns < self._start_ns:
                return Gst.PadProbeReturn.DROP  # it leads to the position: it has no running time
            self._end_ns = max(self._end_ns, buffer.pts + length_ns)
        return Gst.PadProbeReturn.OK

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        assert event is not None, "an event probe sees events"
        if event.type == Gst.EventType.SEGMENT:
            self._finish_segment()
            self._segment = event
            self._start_ns = event.parse_segment().start
        elif event.type == Gst.EventType.FLUSH_START:
            return Gst.PadProbeReturn.DROP
        elif event.type == Gst.EventType.FLUSH_STOP:
            self._is_open = True
            return Gst.PadProbeReturn.DROP
        elif event.type == Gst.EventType.EOS:
            self._finish_segment()
            self.is_over = True
            self._on_over()
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    def _finish_segment(self) -> None:
        """Reckon up to which running time the segment that ends here has been played."""
        if self._segment is not None and self._end_ns:
            segment = self._segment.parse_segment()
            end_ns = min(self._end_ns, segment.stop)  # no stop is the greatest number there is
            running_ns = segment.to_running_time(Gst.Format.TIME, end_ns)
            if running_ns != Gst.CLOCK_TIME_NONE:
                self.running_end_ns = max(self.running_end_ns, running_ns)
        self._end_ns = 0


def _demuxer_for(caps: Gst.Caps) -> Gst.Element:
    media_type = caps.get_structure(0).get_name()
    factory = _DEMUXERS.get(media_type)
    if factory is None:
        raise BadSourceError(
            f"the file is {media_type}, which can't be looped: MP4, Matroska and MPEG-TS can",
            origin="source",
            code="container",
        )
    return make(factory)
