from itertools import islice, pairwise

from stream_manager.lab.media import Clip, Kind, Track, Unit
from stream_manager.lab.schedule import Delivery, loop, stutter

MS = 1_000_000


def track(kind: Kind, *pts_ms: int) -> Track:
    """Make a track whose units hold their own index."""
    units = tuple(
        Unit(data=bytes([index]), pts_ns=pts * MS, key=index == 0)
        for index, pts in enumerate(pts_ms)
    )
    return Track(kind=kind, caps="", units=units)


def told(delivery: Delivery) -> tuple[str, int, int, int]:
    """Tell kind, index, PTS and time of leaving, the times in milliseconds."""
    return (
        delivery.kind.value,
        delivery.unit.data[0],
        delivery.pts_ns // MS,
        delivery.due_ns // MS,
    )


def test_a_loop_goes_on_where_it_ended() -> None:
    """The second round follows the first without a seam, tracks interleaved by time."""
    clip = Clip(
        tracks=(track(Kind.VIDEO, 0, 40), track(Kind.AUDIO, 10, 50)),
        period_ns=80 * MS,
    )
    assert [told(delivery) for delivery in islice(loop(lambda: clip), 6)] == [
        ("video", 0, 0, 0),
        ("audio", 0, 10, 10),
        ("video", 1, 40, 40),
        ("audio", 1, 50, 50),
        ("video", 0, 80, 80),
        ("audio", 0, 90, 90),
    ]


def test_pictures_that_are_shown_out_of_order_leave_evenly() -> None:
    """With B-frames, units leave in decoding order, one picture's time apart."""
    clip = Clip(tracks=(track(Kind.VIDEO, 0, 120, 40, 80),), period_ns=160 * MS)
    assert [told(delivery)[2:] for delivery in islice(loop(lambda: clip), 5)] == [
        (0, 0),
        (120, 40),
        (40, 80),
        (80, 120),
        (160, 160),
    ]


def test_stutter_holds_within_its_bound_and_spares_the_timestamps() -> None:
    """Gaps between pictures reach towards the bound and not past it; order and PTS are kept."""
    clip = Clip(
        tracks=(track(Kind.VIDEO, 0, 40, 80, 120), track(Kind.AUDIO, 0, 64, 128)),
        period_ns=160 * MS,
    )
    draws = iter([0.0, 0.99] * 2000)  # every picture holds, as long as it can
    steady = list(islice(loop(lambda: clip), 700))
    held = list(
        islice(
            stutter(loop(lambda: clip), gap_ns=lambda: 300 * MS, chance=lambda: next(draws)), 700
        )
    )
    assert [told(delivery)[:3] for delivery in held] == [told(delivery)[:3] for delivery in steady]
    assert all(late.due_ns >= true.due_ns for late, true in zip(held, steady, strict=True))
    assert all(later.due_ns >= earlier.due_ns for earlier, later in pairwise(held))
    pictures = [delivery.due_ns for delivery in held if delivery.kind is Kind.VIDEO]
    gaps = [later - earlier for earlier, later in pairwise(pictures)]
    assert 290 * MS < max(gaps) <= 300 * MS


def test_no_stutter_changes_nothing() -> None:
    """A gap of zero leaves every delivery as it was, whatever is drawn."""
    clip = Clip(tracks=(track(Kind.VIDEO, 0, 40),), period_ns=80 * MS)
    plain = list(islice(loop(lambda: clip), 20))
    assert (
        list(islice(stutter(loop(lambda: clip), gap_ns=lambda: 0, chance=lambda: 0.0), 20)) == plain
    )


def test_another_clip_begins_in_the_moment_it_is_there() -> None:
    """In the middle of a round it starts from its own beginning, and time goes on."""
    clip = Clip(tracks=(track(Kind.VIDEO, 0, 40, 80),), period_ns=120 * MS)
    other = Clip(tracks=(track(Kind.VIDEO, 0, 20),), period_ns=40 * MS)
    shown = [clip]
    deliveries = loop(lambda: shown[0])
    assert [told(next(deliveries))[1:3] for _ in range(2)] == [(0, 0), (1, 40)]
    shown[0] = other
    assert [told(next(deliveries))[1:3] for _ in range(3)] == [(0, 80), (1, 100), (0, 120)]


def test_a_clip_takes_over_the_sound_of_another() -> None:
    """Repeated where it is too short, cut where it is too long, absent where there is none."""
    own = Clip(tracks=(track(Kind.VIDEO, 0, 40, 80), track(Kind.AUDIO, 0, 64)), period_ns=120 * MS)
    other = Clip(tracks=(track(Kind.VIDEO, 0), track(Kind.AUDIO, 0, 30)), period_ns=50 * MS)
    mixed = own.with_sound_of(other)
    assert mixed.tracks[0] == own.tracks[0]
    assert [unit.pts_ns // MS for unit in mixed.tracks[1].units] == [0, 30, 50, 80, 100]
    silent = Clip(tracks=(track(Kind.VIDEO, 0),), period_ns=50 * MS)
    assert own.with_sound_of(silent).tracks == (own.tracks[0],)
