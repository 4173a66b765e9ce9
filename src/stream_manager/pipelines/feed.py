"""One track on its way to the files of a recording."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gi.repository import Gst

from stream_manager.pipelines.buffers import copied
from stream_manager.pipelines.segment import Segment
from stream_manager.pipelines.tracks import SourceTrack

LENGTH_MAX_NS = 10_000_000_000  # a pause is not a picture's length
JUMP_NS = 1_000_000_000  # a step this far from the expected time is a jump, not a stutter
HOLE_S = 0.5  # buffers that did not come for this long are missing ones
HOLE_NS = int(HOLE_S * Gst.SECOND)
HOLE_STEPS = 5.0  # ... unless the camera usually takes its time
USUAL_WEIGHT = 0.05  # of the newest time between buffers in what is usual


class Step(NamedTuple):
    """How a buffer of the leading track follows what its segment holds.

    `back`: time went back. `missing_ns`: so much did not come, and `cause` says why. `leapt_ns`:
    time leapt so far ahead without a picture missing.
    """

    back: bool = False
    missing_ns: int = 0
    cause: str = ""
    leapt_ns: int = 0


GOES_ON = Step()


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

        One outside of what its track plays keeps its forerunner's time.
        """
        running_ns = self.time.to_running_time(Gst.Format.TIME, buffer.pts)
        at_ns = self.at_ns if running_ns == Gst.CLOCK_TIME_NONE else running_ns
        if buffer.duration != Gst.CLOCK_TIME_NONE:
            self.length_ns = buffer.duration
        elif at_ns > self.at_ns:
            self.length_ns = min(at_ns - self.at_ns, LENGTH_MAX_NS)
        self.at_ns = at_ns
        return at_ns

    def stamped(self, buffer: Gst.Buffer) -> Gst.Buffer | None:
        """Return a copy that has a presentation time of a buffer without one; None if it has one.

        Parsers make such where they split a picture in two (parameter sets on their own before a
        keyframe): it gets its forerunner's. mpegtsmux lets one without any time wait for as long
        as another track has data, which is for ever; mp4mux refuses it.
        """
        if buffer.pts != Gst.CLOCK_TIME_NONE:
            return None
        copy = copied(buffer)
        copy.pts = buffer.dts
        if copy.pts == Gst.CLOCK_TIME_NONE:
            copy.pts = self.time.position_from_running_time(Gst.Format.TIME, self.at_ns)
        return copy

    def lead(self, buffer: Gst.Buffer, now_s: float) -> Step:
        """Note the buffer, which has come now; tell how it follows what its segment holds."""
        before_ns, length_ns, present = self.at_ns, self.length_ns, self.segment
        at_ns = self.advance(buffer)
        stalled = self._arrive(now_s)
        if present is None:
            return GOES_ON
        if at_ns < before_ns - JUMP_NS:
            return Step(back=True)
        ahead_ns = at_ns - present.end_ns
        if ahead_ns > length_ns // 2 and self._dropped(buffer):
            self.length_ns = length_ns  # not the time up to the last picture that came
            return Step(missing_ns=ahead_ns, cause="storage")
        if stalled and ahead_ns > HOLE_NS:
            return Step(missing_ns=ahead_ns, cause="stall")
        return GOES_ON if ahead_ns <= JUMP_NS else Step(leapt_ns=ahead_ns)

    def _arrive(self, now_s: float) -> bool:
        """Note that a buffer came; tell whether none had for so long that some must be missing."""
        waited_s = now_s - self.arrived_s if self.arrived_s else 0.0
        usual_s = self.usual_s
        self.arrived_s = now_s
        self.usual_s += USUAL_WEIGHT * (waited_s - usual_s)
        return waited_s > HOLE_S and waited_s > HOLE_STEPS * usual_s

    def _dropped(self, buffer: Gst.Buffer) -> bool:
        """Tell whether the queue on the way dropped what came just before, the disk being slow.

        A network's losses are marked alike, but do not fill the queue.
        """
        return buffer.has_flags(Gst.BufferFlags.DISCONT) and self.crowded()
