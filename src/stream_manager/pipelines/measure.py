"""Measures recorded files: `python -m stream_manager.pipelines.measure`, a process of its own.

A file that was cut off, or that is no recording at all, may break the demuxer that reads it: that
costs this process, and not the manager. Paths come as lines of JSON strings on stdin, and each is
answered by one Measurement as a line of JSON.
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stream_manager.pipelines.codecs import Codec, chain_for
from stream_manager.pipelines.elements import BadSourceError, link, make, make_bin
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.measurement import Measurement
from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.pipelines.tracks import shape_of

MEASURED_WITHIN_NS = 60 * Gst.SECOND
DEMUXERS = {".ts": "tsdemux", ".mkv": "matroskademux", ".mp4": "qtdemux"}
# It competes with the streams for the processor, and nobody waits for it.
NICE = 10


@dataclass(slots=True)
class _Extent:
    """One track's times in the file, in ns; `codec` is None where no recording of ours has it."""

    codec: Codec | None
    shape: str = ""
    time: Gst.Segment = field(default_factory=Gst.Segment)
    frames: int = 0
    first_ns: int = 0
    last_ns: int = 0
    length_ns: int = 0

    def watch(self, pad: Gst.Pad) -> None:
        pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event)
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer)

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        assert event is not None
        if event.type is Gst.EventType.SEGMENT:
            event.copy_segment(self.time)
        elif event.type is Gst.EventType.CAPS:
            self.shape = shape_of(event.parse_caps())
        return Gst.PadProbeReturn.OK

    def _on_buffer(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        at_ns = Gst.CLOCK_TIME_NONE
        if buffer.pts != Gst.CLOCK_TIME_NONE:
            at_ns = self.time.to_running_time(Gst.Format.TIME, buffer.pts)
        if at_ns != Gst.CLOCK_TIME_NONE:
            self.first_ns = min(self.first_ns, at_ns) if self.frames else at_ns
            self.last_ns = max(self.last_ns, at_ns)
            self.frames += 1
            if buffer.duration != Gst.CLOCK_TIME_NONE:
                self.length_ns = buffer.duration
        return Gst.PadProbeReturn.OK

    @property
    def duration_s(self) -> float:
        span_ns = self.last_ns - self.first_ns
        # Not every container tells how long the last picture lasts: then as long as the others.
        length_ns = self.length_ns or span_ns // max(1, self.frames - 1)
        return (span_ns + length_ns) / Gst.SECOND


class _Reading:
    """One file on its way through the demuxer, which the suffix names.

    parsebin would find it, and may swallow what it says: it keeps back the errors of an element
    that it is just trying, so that a file without a picture was waited for in vain (seen).
    """

    def __init__(self, path: str) -> None:
        self.extents: list[_Extent] = []
        self._pipeline = Gst.Pipeline()
        reader, self._demuxer = make("filesrc"), make(DEMUXERS[Path(path).suffix])
        reader.set_property("location", path)
        for element in (reader, self._demuxer):
            self._pipeline.add(element)
        reader.link(self._demuxer)
        self._handler = self._demuxer.connect("pad-added", self._on_pad)

    def run(self) -> tuple[bool, str]:
        """Read it to its end; return whether it has one, and what was said if not."""
        bus = self._pipeline.get_bus()
        assert bus is not None
        self._pipeline.set_state(Gst.State.PLAYING)
        wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
        try:
            message = bus.timed_pop_filtered(MEASURED_WITHIN_NS, wanted)
        finally:
            self._demuxer.disconnect(self._handler)
            self._pipeline.set_state(Gst.State.NULL)
        if message is None:
            return False, "it takes too long to read"
        if message.type is Gst.MessageType.ERROR:
            return False, message.parse_error()[0].message
        return True, ""

    def _on_pad(self, _demuxer: Gst.Element, pad: Gst.Pad) -> None:
        codec, launch = None, "fakesink name=sink sync=false async=false"
        caps = pad.get_current_caps()
        with suppress(BadSourceError):  # a track that no recording of ours has
            if caps is not None:
                chain = chain_for(caps)
                codec, launch = chain.codec, f"{chain.launch} ! {launch}"
        extent = _Extent(codec)
        self.extents.append(extent)
        way = make_bin(launch)
        sink = way.get_by_name("sink")
        entry = sink.get_static_pad("sink") if sink is not None else None
        assert entry is not None
        extent.watch(entry)
        self._pipeline.add(way)
        way.sync_state_with_parent()
        link(pad, way)


def measure(path: str) -> Measurement:
    """Return what the file holds. It may be cut off anywhere, and need not be ours."""
    reading = _Reading(path)
    whole, said = reading.run()
    heard = [(it.codec, it) for it in reading.extents if it.codec is not None and it.frames]
    video = next((extent for codec, extent in heard if codec.kind == "video"), None)
    if video is None:
        return Measurement(path=path, whole=False, error=said or "there is no picture in it")
    return Measurement(
        path=path,
        duration_s=video.duration_s,
        tracks=tuple(
            RecordedTrack(kind=codec.kind, codec=codec.name, shape=extent.shape)
            for codec, extent in heard
        ),
        whole=whole,
    )


def main() -> None:
    """Answer every line of stdin."""
    os.nice(NICE)
    Gst.init(None)
    for line in sys.stdin.buffer:
        answer = measure(msgspec.json.decode(line, type=str))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
