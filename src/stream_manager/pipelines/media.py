"""Media counted where it flows: the pulse that proves a track alive."""

import math
import time

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import TrackProgress


class TrackMeter:
    """Counts one track's buffers in the streaming thread; read from the main thread.

    It holds no GStreamer object, so that a pad probe on it keeps no pipeline alive.
    """

    def __init__(self, name: str) -> None:
        """Count for the track called `name`."""
        self.name = name
        self.frames = 0
        self._bytes = 0
        self._first_s: float | None = None
        self._key_s: float | None = None
        self._last_s: float | None = None
        self._gaps = _Gaps()  # since the last look
        self._untold = _Gaps()  # before that, since the last report

    def watch(self, pad: Gst.Pad) -> None:
        """Count every buffer that passes `pad` from now on."""
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer)

    def _on_buffer(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        now_s = time.monotonic()
        buffer = info.get_buffer()
        if self._last_s is None:
            self._first_s = now_s
        else:
            self._gaps.add(now_s - self._last_s)
        self._last_s = now_s
        self.frames += 1
        if buffer is not None:
            self._bytes += buffer.get_size()
            if self._key_s is None and not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
                self._key_s = now_s
        return Gst.PadProbeReturn.OK

    def read(self) -> TrackProgress:
        """Return what has passed; the gaps are those since the last report."""
        newest, self._gaps = self._gaps, _Gaps()
        gaps = self._untold
        gaps.join(newest)
        return TrackProgress(
            name=self.name,
            frames=self.frames,
            bytes=self._bytes,
            first_s=self._first_s,
            key_s=self._key_s,
            last_s=self._last_s,
            gap_max_s=gaps.max_s,
            gap_mean_s=gaps.mean_s,
            gap_deviation_s=gaps.deviation_s,
        )

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        self._untold = _Gaps()


class PolledMeter:
    """Counts one track by an `identity` in its chain, which is read at each look.

    Arrivals are known to the look that found them: enough for sound, of which only a silence of
    seconds matters, and 35 us a buffer cheaper than a probe (measured; AAC has 47 a second).
    """

    def __init__(self, name: str, counter: Gst.Element) -> None:
        """Count for the track called `name`, all of which passes the identity `counter`."""
        self.name = name
        self._counter = counter
        self._frames = 0
        self._first_s: float | None = None
        self._last_s: float | None = None
        self._gaps = _Gaps()

    def read(self) -> TrackProgress:
        """Return what has passed; gaps are those between looks that found something."""
        stats = self._counter.get_property("stats")
        _, frames = stats.get_uint64("num-buffers")
        _, size = stats.get_uint64("num-bytes")
        new, self._frames = frames - self._frames, frames
        now_s = time.monotonic()
        if new:
            if self._last_s is None:
                self._first_s = now_s
            else:
                self._gaps.add(now_s - self._last_s, arrivals=new)
            self._last_s = now_s
        return TrackProgress(
            name=self.name,
            frames=frames,
            bytes=size,
            first_s=self._first_s,
            key_s=self._first_s,
            last_s=self._last_s,
            gap_max_s=self._gaps.max_s,
            gap_mean_s=self._gaps.mean_s,
            gap_deviation_s=0.0,  # between looks it is not known
        )

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        self._gaps = _Gaps()


class _Gaps:
    """Sums over the times between arrivals."""

    __slots__ = ("count", "max_s", "squares", "sum_s")

    def __init__(self) -> None:
        self.count = 0
        self.sum_s = 0.0
        self.squares = 0.0
        self.max_s = 0.0

    def add(self, gap_s: float, *, arrivals: int = 1) -> None:
        self.count += arrivals
        self.sum_s += gap_s
        self.squares += gap_s * gap_s
        self.max_s = max(self.max_s, gap_s)

    def join(self, newer: "_Gaps") -> None:
        self.count += newer.count
        self.sum_s += newer.sum_s
        self.squares += newer.squares
        self.max_s = max(self.max_s, newer.max_s)

    @property
    def mean_s(self) -> float:
        return self.sum_s / self.count if self.count else 0.0

    @property
    def deviation_s(self) -> float:
        if not self.count:
            return 0.0
        variance = self.squares / self.count - self.mean_s**2
        return math.sqrt(max(0.0, variance))  # rounding may leave it just below zero
