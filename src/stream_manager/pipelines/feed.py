"""One track on its way to the files of a recording."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gi.repository import Gst

from stream_manager.pipelines.segment import Segment
from stream_manager.pipelines.tracks import SourceTrack

LENGTH_MAX_NS = 10_000_000_000  # a pause is not a picture's length
HOLE_S = 0.5  # buffers that did not come for this long are missing ones
HOLE_STEPS = 5.0  # ... unless the camera usually takes its time
USUAL_WEIGHT = 0.05  # of the newest time between buffers in what is usual


@dataclass(slots=True, kw_only=True)
class Feed:
    """A track and where it stands; `pad` is its last before a muxer.

    `crowded` tells whether the queue on its way is so full that it drops.

    `segment` is its place in the chain. Its own streaming thread alone moves it, or
    another that holds the pad blocked; the leader's thread places it while it stands nowhere.
    `at_ns` is the running time of its last buffer and `length_ns` that one's length; `taken_s`
    says when a file last took data of it, and `arrived_s` when its last buffer came, in monotonic
    seconds; `usual_s` is the usual time between two.
    """

    track: SourceTrack
    pad: Gst.Pad
    crowded: Callable[[], bool]
    time: Gst.Segment = field(default_factory=Gst.Segment)
    segment: Segment | None = None
    inside: bool = False
    caps: Gst.Caps | None = None
    at_ns: int = 0
    length_ns: int = 0
    taken_s: float = 0.0
    arrived_s: float = 0.0
    usual_s: float = 0.0
    silent: bool = False
    ended: bool = False
    hold: int = 0  # the probe that keeps a follower waiting for a segment
    probes: tuple[int, ...] = ()

    def advance(self, buffer: Gst.Buffer) -> int:
        """Note the buffer's running time and length; return the time, in ns.

        A buffer without a time gets its forerunner's.
        """
        stamp_ns = buffer.pts if buffer.pts != Gst.CLOCK_TIME_NONE else buffer.dts
        at_ns = self.at_ns
        if stamp_ns != Gst.CLOCK_TIME_NONE:
            running_ns = self.time.to_running_time(Gst.Format.TIME, stamp_ns)
            at_ns = at_ns if running_ns == Gst.CLOCK_TIME_NONE else running_ns
        if buffer.duration != Gst.CLOCK_TIME_NONE:
            self.length_ns = buffer.duration
        elif at_ns > self.at_ns:
            self.length_ns = min(at_ns - self.at_ns, LENGTH_MAX_NS)
        self.at_ns = at_ns
        return at_ns

    def arrive(self, now_s: float) -> bool:
        """Note that a buffer came; tell whether none had for so long that some must be missing."""
        waited_s = now_s - self.arrived_s if self.arrived_s else 0.0
        usual_s = self.usual_s
        self.arrived_s = now_s
        self.usual_s += USUAL_WEIGHT * (waited_s - usual_s)
        return waited_s > HOLE_S and waited_s > HOLE_STEPS * usual_s
