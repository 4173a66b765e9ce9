"""The first picture of a track stamped as all others are: by its arrival.

rtspsrc stamps what comes first on a track as if it had come at PLAY, however late it comes, and
what follows by its arrival (measured: video that began 1 to 6 s after PLAY).
"""

from collections.abc import Callable

from stream_manager.pipelines.buffers import copied
from stream_manager.pipelines.gst import Gst

ODD_NS = 100_000_000  # less is how late a busy machine looks at a packet


class FirstPicture:
    """Holds the first packets at `pad`, if they look late, until the next picture's time is known.

    now_ns: tells the running time. Once that picture has begun it costs nothing more.
    """

    def __init__(self, pad: Gst.Pad, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._held: list[Gst.Buffer] = []
        self._came_ns = 0
        self._passes = False  # what it pushes itself comes by again
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer)

    def _on_buffer(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if self._passes:
            return Gst.PadProbeReturn.OK
        buffer = info.get_buffer()
        assert buffer is not None
        now_ns = self._now_ns()
        if not self._held:
            if now_ns - _running_ns(pad, buffer) < ODD_NS:
                return Gst.PadProbeReturn.REMOVE
            self._came_ns = now_ns
        elif buffer.pts not in {self._held[0].pts, Gst.CLOCK_TIME_NONE}:
            ahead_ns = buffer.pts - self._held[0].pts - (now_ns - self._came_ns)
            self._release(pad, ahead_ns if ahead_ns > ODD_NS else 0)
            return Gst.PadProbeReturn.REMOVE
        self._held.append(buffer)
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
