"""One viewer's media on its way: units go into appsrcs when they are due, in one thread for all.

A client's media is a pipeline `appsrc ! payloader` a track, whose sinks do not wait for timestamps:
one thread, the pacer, hands every client's units over when they are due. So what a camera claims
(timestamps) and what it does (arrival) stay independent, and forty clients cost one Python thread.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402 - versions must be required first

from stream_manager.lab.board import Board  # noqa: E402
from stream_manager.lab.media import Kind  # noqa: E402
from stream_manager.lab.packets import PacketFilter  # noqa: E402
from stream_manager.lab.record import Phase  # noqa: E402
from stream_manager.lab.schedule import Delivery  # noqa: E402

ROUND_S = 0.004  # the pacer's shortest nap: units due within it leave together
STALE_NS = Gst.SECOND  # after a freeze a camera goes on from the present, at a keyframe


@dataclass(slots=True, kw_only=True)
class Conditions:
    """What is wrong with everybody's media just now. Changed only while the pacer is held."""

    stutter_gap_ns: int = 0
    lost: frozenset[Kind] = frozenset()
    keyframes_withheld: bool = False
    garbage: bool = False


class Pictures:
    """Sees the pictures of one viewer leave, and tells of the first and the last of each run."""

    def __init__(self, tell: Callable[[Phase, int], None], board: Board, mount: int) -> None:
        self._tell = tell
        self._board = board
        self._mount = mount
        self._keyed = False  # since a keyframe: only then it is a picture to the viewer
        self._last_ns: int | None = None
        self._freezes = board.freezes

    def left(self, *, key: bool) -> None:
        """Count a picture that leaves in this moment."""
        self._keyed = self._keyed or key
        if not self._keyed:
            return
        now_ns = time.time_ns()
        self._thaw()
        if self._last_ns is None:
            self._tell(Phase.FIRST, now_ns)
        self._last_ns = now_ns
        self._board.note_picture(self._mount, now_ns)

    def stop(self) -> None:
        """End the run, if there is one. The next begins with a keyframe."""
        self._thaw()
        if self._last_ns is not None:
            self._tell(Phase.LAST, self._last_ns)
        self._last_ns = None
        self._keyed = False

    def _thaw(self) -> None:
        if self._freezes != self._board.freezes:
            self._freezes = self._board.freezes
            self._last_ns = None  # the owner has told it, while this process stood still


class Feed:
    """One client's deliveries on their way into its media's appsrcs."""

    def __init__(
        self,
        sources: Sequence[GstApp.AppSrc],
        filters: Sequence[PacketFilter],
        deliveries: Iterator[Delivery],
        conditions: Conditions,
        pictures: Pictures,
    ) -> None:
        self._sources = sources
        self._filters = filters
        self._deliveries = deliveries
        self._conditions = conditions
        self._next = next(deliveries)
        self._broken: set[int] = set()  # tracks that lack a unit, until their next keyframe
        self._primed: list[Delivery] = []
        self.pictures = pictures
        self.played_ns = 0

    def prime(self, round_ns: int) -> None:
        """Hand over the first unit of every track: without it the media can't describe itself.

        Keyframes that are withheld are passed over, but for no longer than one round of the clip.
        """
        if self._conditions.garbage:
            self.garble()
        waiting = set(range(len(self._sources)))
        while waiting:
            delivery = self._take()
            withheld = self._conditions.keyframes_withheld and _is_keyframe(delivery)
            if withheld and delivery.due_ns < round_ns:
                continue
            waiting.discard(delivery.track)
            self._push(delivery)
            self._primed.append(delivery)

    def start(self) -> None:
        """Note that what it was primed with leaves now, unless that has happened before."""
        for delivery in self._primed:
            if delivery.kind not in self._conditions.lost:
                self._note(delivery)
        self._primed.clear()

    def advance(self, played_ns: int) -> int:
        """Hand over all that is due `played_ns` after PLAY; return when the next unit is due."""
        self.played_ns = played_ns
        while self._next.due_ns <= played_ns:
            self._hand_over(self._take())
        return self._next.due_ns

    def garble(self) -> None:
        """Let packets be looked at, as long as there may be garbage."""
        for packets in self._filters:
            packets.engage()

    def leap(self, by_s: float) -> None:
        """Move the RTP timestamps of every track from now on."""
        for packets in self._filters:
            packets.leap(by_s)

    def _take(self) -> Delivery:
        delivery, self._next = self._next, next(self._deliveries)
        return delivery

    def _hand_over(self, delivery: Delivery) -> None:
        conditions, track = self._conditions, delivery.track
        stale = self.played_ns - delivery.due_ns > STALE_NS
        if stale or delivery.kind in conditions.lost:
            self._broken.add(track)
            return
        if conditions.keyframes_withheld and delivery.kind is Kind.VIDEO:
            if delivery.unit.key:
                return
        elif delivery.unit.key:
            self._broken.discard(track)
        elif track in self._broken:
            return
        self._push(delivery)
        self._note(delivery)

    def _push(self, delivery: Delivery) -> None:
        buffer = Gst.Buffer.new_wrapped(delivery.unit.data)
        buffer.pts = delivery.pts_ns
        self._sources[delivery.track].push_buffer(buffer)

    def _note(self, delivery: Delivery) -> None:
        if delivery.kind is Kind.VIDEO and not self._conditions.garbage:
            self.pictures.left(key=delivery.unit.key)


def _is_keyframe(delivery: Delivery) -> bool:
    return delivery.kind is Kind.VIDEO and delivery.unit.key


class Pacer:
    """The thread that advances every playing feed in real time."""

    def __init__(self) -> None:
        self._clock = Gst.SystemClock.obtain()
        self._changed = threading.Condition()
        self._started_ns: dict[Feed, int] = {}
        threading.Thread(target=self._run, name="pacer", daemon=True).start()

    def play(self, feed: Feed) -> None:
        """Let the feed go on where it is."""
        with self._changed:
            self._started_ns[feed] = self._clock.get_time() - feed.played_ns
            feed.start()
            self._changed.notify()

    def pause(self, feed: Feed) -> None:
        """Hold the feed, or forget it; one that does not play is left as it is."""
        with self._changed:
            if self._started_ns.pop(feed, None) is not None:
                feed.pictures.stop()

    @contextmanager
    def held(self) -> Iterator[tuple[Feed, ...]]:
        """Hand nothing over meanwhile; give the feeds that play."""
        with self._changed:
            yield tuple(self._started_ns)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._started_ns)
                now_ns = self._clock.get_time()
                due_ns = min(
                    started_ns + feed.advance(now_ns - started_ns)
                    for feed, started_ns in self._started_ns.items()
                )
                self._changed.wait(max(ROUND_S, (due_ns - now_ns) / Gst.SECOND))
