"""The first picture of a track stamped as all others are: by its arrival.

rtspsrc stamps what comes first on a track as if it had come at PLAY, however late it comes, and
what follows by its arrival (measured: video that began 1 to 6 s after PLAY).
"""

from collections.abc import Callable

from stream_manager.pipelines.buffers import copied
from stream_manager.pipelines.gst import Gst

ODD_NS = 100_000_000  # less is how late a busy machine looks at a packet
# What is as late as this is stamped at once: a camera of few pictures need not send another soon.
SURE_NS = 3_000_000_000


class FirstPicture:
    """Holds the first packets at `pad`, if they look late, until the next picture's time is known.

    now_ns: tells the running time. latency_ns: how long a packet that came in time may have waited
    in the jitter buffer. Once the next picture has begun it costs nothing more.
    """

    def __init__(self, pad: Gst.Pad, now_ns: Callable[[], int], *, latency_ns: int) -> None:
        self._now_ns = now_ns
        self._latency_ns = latency_ns
        self._stamp_ns: int | None = None  # of the first picture, as it came
        self._came_ns = 0
        self._ahead_ns: int | None = None  # what its stamp lacks, once that is known
        self._held: list[Gst.Buffer] = []
        self._passes = False  # what it pushes itself comes by again
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer)

    def _on_buffer(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if self._passes:
            return Gst.PadProbeReturn.OK
        buffer = info.get_buffer()
        assert buffer is not None
        now_ns = self._now_ns()
        if self._stamp_ns is None:
            late_ns = now_ns - _running_ns(pad, buffer) - self._latency_ns
            if late_ns < ODD_NS:
                return Gst.PadProbeReturn.REMOVE
            self._stamp_ns, self._came_ns = buffer.pts, now_ns
            if late_ns >= SURE_NS:
                self._ahead_ns = late_ns
        elif buffer.pts not in {self._stamp_ns, Gst.CLOCK_TIME_NONE}:
            if self._ahead_ns is None:
                ahead_ns = buffer.pts - self._stamp_ns - (now_ns - self._came_ns)
                odd = ahead_ns > ODD_NS + self._latency_ns
                self._release(pad, ahead_ns if odd else 0)
            return Gst.PadProbeReturn.REMOVE
        self._held.append(buffer)
        if self._ahead_ns is not None:
            self._release(pad, self._ahead_ns)
        return Gst.PadProbeReturn.DROP

    def _release(self, pad: Gst.Pad, ahead_ns: int) -> None:
        held, self._held = self._held, []
        self._passes = True
        for buffer in held:
            copy = copied(buffer)
            if copy.pts != Gst.CLOCK_TIME_NONE:
                copy.pts += ahead_ns
            if copy.dts != Gst.CLOCK_TIME_NONE:
                copy.dts += ahead_ns
            pad.push(copy)
        self._passes = False


def _running_ns(pad: Gst.Pad, buffer: Gst.Buffer) -> int:
    event = pad.get_sticky_event(Gst.EventType.SEGMENT, 0)
    assert event is not None, "a segment comes before data"
    return event.parse_segment().to_running_time(Gst.Format.TIME, buffer.pts)
