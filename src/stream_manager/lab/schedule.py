"""When each unit goes out: an endless iterator per client, which faults transform.

A fault is a function from deliveries to deliveries. `pts_ns` is what the camera claims and `due_ns`
is when the unit leaves it; both count from PLAY. They are apart so that either can be disturbed.
What a fault is told by a callable may change at any time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from stream_manager.lab.media import Clip, Kind, Unit

HOLD_CHANCE = 0.1  # how often a stuttering camera holds its pictures back


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One unit on its way. `track` is an index into the clip's tracks."""

    track: int
    kind: Kind
    unit: Unit
    pts_ns: int
    due_ns: int


def loop(current: Callable[[], Clip]) -> Iterator[Delivery]:
    """Send the clip in real time, for ever, with timestamps that never start over.

    When `current` gives another clip, of the same tracks, that one begins in the same moment.
    """
    start_ns = 0
    while True:
        clip = current()
        for delivery in _once(clip):
            if current() is not clip:
                start_ns += delivery.due_ns
                break
            yield replace(
                delivery, pts_ns=start_ns + delivery.pts_ns, due_ns=start_ns + delivery.due_ns
            )
        else:
            start_ns += clip.period_ns


def _once(clip: Clip) -> list[Delivery]:
    # An encoder emits units in decoding order at the pace of the pictures. So the n-th unit is due
    # at the n-th presentation time: this holds with B-frames, and no container's DTS is needed.
    once = [
        Delivery(track=index, kind=track.kind, unit=unit, pts_ns=unit.pts_ns, due_ns=due_ns)
        for index, track in enumerate(clip.tracks)
        for unit, due_ns in zip(
            track.units, sorted(unit.pts_ns for unit in track.units), strict=True
        )
    ]
    return sorted(once, key=lambda delivery: delivery.due_ns)


def stutter(
    deliveries: Iterator[Delivery], *, gap_ns: Callable[[], int], chance: Callable[[], float]
) -> Iterator[Delivery]:
    """Hold everything back now and then, up to `gap_ns` after a picture, then send it in a burst.

    Timestamps stay true, and no two pictures leave more than `gap_ns` (or their own distance,
    where that is longer) apart. `chance` draws from [0, 1). With a gap of zero nothing is held.
    """
    release_ns = 0
    for delivery in deliveries:
        due_ns = max(delivery.due_ns, release_ns)
        yield replace(delivery, due_ns=due_ns)
        if delivery.kind is Kind.VIDEO and gap_ns() and chance() < HOLD_CHANCE:
            release_ns = due_ns + int(chance() * gap_ns())
