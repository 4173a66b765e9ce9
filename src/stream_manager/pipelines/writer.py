"""The segment writer: decides, in the streaming threads, which file each buffer goes to.

The leading track (the first video) begins a segment at a keyframe; the others follow, each at
its first buffer that belongs to the new segment's time. The rules:
1. Nothing is written before the leader's first keyframe.
2. A keyframe begins a new segment when the present one is long enough, or when a cut is wanted:
   a track came back, or timestamps leapt forward.
3. When the leader's caps change or its timestamps go back, its part of the segment ends at once,
   and the next keyframe begins another.
4. A follower that is silent leaves its file, for a muxer waits for every track; when it is heard
   again, a cut is wanted, and it joins the next segment. So does one whose caps change.
5. A follower that no file takes yet is held; the leaky queue before it keeps the latest data.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from gi.repository import Gst

from stream_manager.pipelines.feed import JUMP_NS, Feed
from stream_manager.pipelines.segment import Segment
from stream_manager.pipelines.tracks import SourceTrack

LEAD_NS = 5_000_000_000  # after a jump, a follower further ahead than this has not jumped yet
SILENT_S = 1.0  # a follower without data for this long leaves its file
OPEN_MAX = 8  # segments not yet synced; past it the disk is behind, and the present one goes on


class Create(Protocol):
    """Makes a segment's file. Raises OSError."""

    def __call__(
        self, sequence: int, begin_ns: int, *, after_jump: bool, continues: bool
    ) -> Segment:
        """Return a segment whose file exists, and whose bin is not at work yet."""
        ...


class SegmentWriter:
    """Writes the tracks of one playing pipeline into one file after another.

    `create` makes a segment's file; its OSError goes to `on_error`, after which everything is
    dropped. `on_opened` gets each segment when
    its tracks are known; `on_finished` gets each finished one, to be closed and then given to
    `closed`. `on_drained` says that every track has ended and every
    segment is closed. All are called in streaming threads, `closed` in whichever calls it.
    """

    def __init__(
        self,
        *,
        pipeline: Gst.Pipeline,
        segment_s: float,
        sequence: int,
        create: Create,
        on_error: Callable[[OSError], None],
        on_opened: Callable[[Segment], None],
        on_finished: Callable[[Segment], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._segment_ns = int(segment_s * Gst.SECOND)
        self._sequence = sequence
        self._create = create
        self._on_error = on_error
        self._on_opened = on_opened
        self._on_finished = on_finished
        self._on_drained = on_drained
        self._leader: Feed | None = None
        self._followers: list[Feed] = []
        self._open: dict[int, Segment] = {}
        self._latest: Segment | None = None
        self._cut_wanted = False
        self._jumped_back = False
        self._failed = False
        self._holds = True

    def add(self, track: SourceTrack, pad: Gst.Pad, crowded: Callable[[], bool]) -> None:
        """Take over a track at `pad`, before the pipeline plays. The first video leads."""
        feed = Feed(track=track, pad=pad, crowded=crowded)
        if track.kind == "video" and self._leader is None:
            self._leader = feed
            on_buffer = self._on_leading_buffer
        else:
            self._followers.append(feed)
            self._hold(feed)
            on_buffer = self._on_following_buffer
        feed.probes = (
            pad.add_probe(Gst.PadProbeType.BUFFER, on_buffer, feed),
            pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event, feed),
        )

    @property
    def open_segments(self) -> tuple[Segment, ...]:
        """The segments that are not closed yet, oldest first."""
        return tuple(self._open.values())

    @property
    def picture_s(self) -> float:
        """When the leading track's last buffer came, in monotonic seconds; 0 before the first."""
        return 0.0 if self._leader is None else self._leader.arrived_s

    @property
    def drained(self) -> bool:
        """Whether every track has ended and every segment is closed."""
        return not self._open and all(feed.ended for feed in self._feeds())

    def closed(self, segment: Segment) -> None:
        """Forget a segment whose file is closed."""
        self._open.pop(segment.sequence, None)
        self._tell_if_drained()

    def fail(self) -> None:
        """Write nothing more: each track leaves its file at its next buffer."""
        self._failed = True
        self.let_go()

    def let_go(self) -> None:
        """Hold no track any longer: what no file takes is dropped, so that EOS gets through."""
        self._holds = False
        for feed in self._followers:
            self._free(feed)

    def disconnect(self) -> None:
        """Take the probes off, when the pipeline has stopped: they hold this object and it."""
        for feed in self._feeds():
            for probe in feed.probes:
                feed.pad.remove_probe(probe)
            feed.probes = ()

    def release_silent(self) -> None:
        """Let followers that have been silent leave their files. May block as the disk does."""
        now_s = time.monotonic()
        for feed in self._followers:
            waited_for = self._latest is not None and self._latest.takes(feed.track.name)
            if waited_for and (feed.ended or now_s - feed.taken_s > SILENT_S):
                here = threading.get_ident()
                probe = feed.pad.add_probe(Gst.PadProbeType.IDLE, self._release, feed, here)
                if probe:  # busy, so not silent: the muxer holds it until the leader comes
                    feed.pad.remove_probe(probe)

    def _release(
        self, _pad: Gst.Pad, _info: Gst.PadProbeInfo, feed: Feed, thread: int
    ) -> Gst.PadProbeReturn:
        if threading.get_ident() == thread:
            self._hold(feed)
            feed.silent = True
            self._leave(feed)
            if self._latest is not None:  # begun while this track was leaving its forerunner
                self._latest.leave(feed.track.name, feed.pad)
        return Gst.PadProbeReturn.REMOVE

    def _hold(self, feed: Feed) -> None:
        if self._holds and not feed.hold:
            kind = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
            feed.hold = feed.pad.add_probe(kind, self._on_held, feed)

    def _free(self, feed: Feed) -> None:
        hold, feed.hold = feed.hold, 0
        if hold:
            feed.pad.remove_probe(hold)

    def _on_held(self, _pad: Gst.Pad, _info: Gst.PadProbeInfo, feed: Feed) -> Gst.PadProbeReturn:
        feed.silent = False
        if feed.segment is not None:  # placed by the leader in the moment before it was held
            feed.hold = 0
            return Gst.PadProbeReturn.REMOVE
        self._cut_wanted = True
        return Gst.PadProbeReturn.OK

    def _feeds(self) -> tuple[Feed, ...]:
        leader = () if self._leader is None else (self._leader,)
        return (*leader, *self._followers)

    def _on_leading_buffer(
        self, _pad: Gst.Pad, info: Gst.PadProbeInfo, feed: Feed
    ) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        if (stamped := feed.stamped(buffer)) is not None:
            feed.pad.push(stamped)  # and so it comes here again
            return Gst.PadProbeReturn.DROP
        present = feed.segment
        step = feed.lead(buffer, time.monotonic())
        if self._failed:
            return self._give_up(feed)
        if step.back:
            self._jumped_back = True
            self._leave(feed)
        elif step.leapt_ns or step.missing_ns > JUMP_NS:
            self._cut_wanted = True
        if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT) and self._cut_is_due(feed):
            self._cut(feed, continues=present is not None and not (step.back or step.cause))
        if feed.segment is None:
            return Gst.PadProbeReturn.DROP
        if feed.segment is present:
            present.skipped_ns += step.leapt_ns
            if step.cause:
                present.miss(step.missing_ns, step.cause)
        feed.segment.end_ns = max(feed.segment.end_ns, feed.at_ns + feed.length_ns)
        return Gst.PadProbeReturn.OK

    def _cut_is_due(self, leader: Feed) -> bool:
        present = leader.segment
        if present is None or self._cut_wanted:
            return True
        # Timestamps of live sources jitter: a keyframe half a picture early is on time.
        long_ns = leader.at_ns + leader.length_ns // 2 - present.begin_ns
        return long_ns >= self._segment_ns and len(self._open) < OPEN_MAX

    def _cut(self, leader: Feed, *, continues: bool) -> None:
        """Begin a segment at the leader's buffer, with every track that is heard; or fail."""
        try:
            segment = self._create(
                self._sequence, leader.at_ns, after_jump=self._jumped_back, continues=continues
            )
        except OSError as error:
            self.fail()
            self._on_error(error)
            self._leave(leader)
            return
        self._cut_wanted = False  # unless one is heard again while this segment is made
        feeds = [feed for feed in self._feeds() if not (feed.silent or feed.ended)]
        segment.open(self._pipeline, feeds, self._on_finished)
        self._on_opened(segment)
        self._open[segment.sequence] = segment
        self._sequence += 1
        self._leave(leader)
        now_s = time.monotonic()
        for feed in feeds:
            if feed.segment is None:
                feed.taken_s = now_s
                feed.segment = segment
        if self._latest is not None:
            self._latest.following = segment
        self._latest = segment
        segment.enter(leader.track.name, leader.pad)
        for feed in feeds:
            self._free(feed)
        self._jumped_back = False

    def _on_following_buffer(
        self, _pad: Gst.Pad, info: Gst.PadProbeInfo, feed: Feed
    ) -> Gst.PadProbeReturn:
        segment = feed.segment
        if (
            segment is not None
            and feed.inside
            and not (segment.following or segment.after_jump or self._failed)
        ):
            feed.taken_s = time.monotonic()  # by far the usual case, 47 times a second for AAC
            return Gst.PadProbeReturn.OK
        buffer = info.get_buffer()
        assert buffer is not None
        if (stamped := feed.stamped(buffer)) is not None:
            feed.pad.push(stamped)
            return Gst.PadProbeReturn.DROP
        feed.advance(buffer)
        if self._failed:
            return self._give_up(feed)
        if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            self._follow(feed)
        if not feed.inside or not self._in_step(feed):
            return Gst.PadProbeReturn.DROP
        feed.taken_s = time.monotonic()
        return Gst.PadProbeReturn.OK

    def _follow(self, feed: Feed) -> None:
        """Walk the chain to the segment of the feed's time, and enter it when that has come."""
        segment = feed.segment
        if segment is None:
            return
        while (following := segment.following) is not None and (
            following.after_jump or feed.at_ns >= following.begin_ns
        ):
            segment.leave(feed.track.name, feed.pad)
            feed.inside = False
            feed.segment = segment = following
        if feed.inside or feed.at_ns < segment.begin_ns:
            return
        if segment.takes(feed.track.name):
            segment.enter(feed.track.name, feed.pad)
            feed.inside = True
        else:
            feed.segment = None
            self._hold(feed)

    def _in_step(self, feed: Feed) -> bool:
        segment = feed.segment
        if segment is None or not segment.after_jump or self._leader is None:
            return True
        return segment.begin_ns <= feed.at_ns <= self._leader.at_ns + LEAD_NS

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo, feed: Feed) -> Gst.PadProbeReturn:
        event = info.get_event()
        assert event is not None
        if event.type is Gst.EventType.SEGMENT:
            event.copy_segment(feed.time)
        elif event.type is Gst.EventType.CAPS:
            caps = event.parse_caps()
            if feed.caps is not None and not caps.is_equal(feed.caps):
                self._leave(feed)
                if feed is not self._leader:
                    self._hold(feed)
            feed.caps = caps
        elif event.type is Gst.EventType.EOS:
            self._leave(feed)
            feed.ended = True
            self._tell_if_drained()
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    def _leave(self, feed: Feed) -> None:
        """End the track in its segment and in those after it."""
        segment, feed.segment, feed.inside = feed.segment, None, False
        while segment is not None:
            segment.leave(feed.track.name, feed.pad)
            segment = segment.following

    def _give_up(self, feed: Feed) -> Gst.PadProbeReturn:
        self._leave(feed)
        return Gst.PadProbeReturn.DROP

    def _tell_if_drained(self) -> None:
        if self.drained:
            self._on_drained()
