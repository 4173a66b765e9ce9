"""A worker reports once a second while all is as usual, and at every look when there is news."""

from collections.abc import Callable, Sequence

from stream_manager.pipelines.messages import OutputProgress, TrackProgress
from stream_manager.pipelines.pace import (
    JUDGED_WITHIN_S,
    LOOK_S,
    NEWS_FOR_S,
    OUTPUT_SILENT_S,
    Pace,
)

CALM_LOOKS = 5
LOOKS_OF_NEWS = round(NEWS_FOR_S / LOOK_S)


def track(
    last_s: float | None,
    *,
    name: str = "video",
    first_s: float | None = 0.0,
    key_s: float | None = 0.0,
    gap_s: float = 0.04,
) -> TrackProgress:
    """Return what a look found of a track that began long ago."""
    return TrackProgress(
        name=name,
        frames=9,
        bytes=9,
        first_s=first_s,
        key_s=key_s,
        last_s=last_s,
        gap_max_s=gap_s,
        gap_mean_s=gap_s,
        gap_deviation_s=0.0,
    )


def output(last_s: float | None, *, first_s: float | None = 0.0) -> OutputProgress:
    """Return what a look found of a recorder that began long ago."""
    return OutputProgress(part="record", epoch=1, bytes=9, first_s=first_s, last_s=last_s)


def reports(
    pace: Pace,
    looks: int,
    tracks: Callable[[float], Sequence[TrackProgress]],
    outputs: Callable[[float], Sequence[OutputProgress]] = lambda _: (),
    *,
    since_s: float = 100.0,
) -> list[int]:
    """Return the numbers of those looks, LOOK_S apart, that are reported."""
    instants = [(number, since_s + number * LOOK_S) for number in range(looks)]
    return [number for number, at_s in instants if pace.is_due(tracks(at_s), outputs(at_s), at_s)]


def test_what_is_as_usual_is_told_once_a_second() -> None:
    """A person who watches the frames sees them grow; a manager of forty has little to do."""
    told = reports(Pace(), 20, lambda at_s: [track(at_s - 0.02)], lambda at_s: [output(at_s)])
    assert told == [0, 5, 10, 15]


def test_a_silence_is_told_at_every_look_and_its_end_at_once() -> None:
    """So the manager finds a stall as soon as when it hears of each look."""

    def frozen(at_s: float) -> Sequence[TrackProgress]:
        is_silent = 101.4 < at_s < 102.3
        return [track(101.38 if is_silent else at_s - 0.02)]

    told = reports(Pace(), 21, frozen)
    assert told == [0, 5, 8, 9, 10, 11, 12, 17]


def test_a_wait_for_the_first_keyframe_is_told_at_every_look() -> None:
    """It ends a start a while before the deadline does, and not by chance after it."""
    told = reports(Pace(), 30, lambda at_s: [track(at_s, first_s=90.0, key_s=None)])
    assert told == list(range(30))


def test_one_silent_track_among_others_is_enough() -> None:
    """Sound that goes on hides no picture that does not."""
    told = reports(
        Pace(), 10, lambda at_s: [track(at_s, name="audio"), track(99.0), track(at_s, name="b")]
    )
    assert told == list(range(10))


def test_a_slow_camera_is_not_silent_between_two_pictures() -> None:
    """A picture in two seconds is its usual pace, also in a report that saw no gap end."""

    def slow(at_s: float) -> Sequence[TrackProgress]:
        came_s = at_s - (at_s - 99.99) % 2.0
        return [track(came_s, gap_s=2.0 if at_s - came_s < LOOK_S else 0.0)]

    assert reports(Pace(), 30, slow) == [0, 5, 10, 15, 20, 25]


def test_a_track_that_is_given_up_is_no_news_for_ever() -> None:
    """Sound that went long ago, and that the manager does without, costs nothing."""
    missing = lambda at_s: [track(at_s), track(at_s - JUDGED_WITHIN_S, name="audio")]  # noqa: E731
    never = lambda at_s: [track(at_s), track(None, name="audio", first_s=None, key_s=None)]  # noqa: E731
    for given_up in (missing, never):
        assert reports(Pace(), 11, given_up) == [0, 5, 10]


def test_an_output_that_takes_nothing_is_told_at_every_look() -> None:
    """It stalls later than a source, for it writes in blocks."""
    takes = lambda at_s: [output(at_s - OUTPUT_SILENT_S + 0.1)]  # noqa: E731
    takes_nothing = lambda at_s: [output(at_s - OUTPUT_SILENT_S - 0.1)]  # noqa: E731
    flows = lambda at_s: [track(at_s)]  # noqa: E731
    assert reports(Pace(), 6, flows, takes) == [0, 5]
    assert reports(Pace(), 6, flows, takes_nothing) == [0, 1, 2, 3, 4, 5]


def test_a_beginning_is_told_closely() -> None:
    """What proves a run, or an output, is heard as soon as it is seen."""
    begun_s = 100.0
    beginnings: list[tuple[Sequence[TrackProgress], Sequence[OutputProgress]]] = [
        ([track(None, first_s=begun_s)], ()),
        ([track(None, key_s=begun_s)], ()),
        ([track(None)], [output(None, first_s=begun_s)]),
    ]
    for tracks, outputs in beginnings:
        told = reports(Pace(), 30, lambda _, it=tracks: it, lambda _, it=outputs: it)  # type: ignore[misc]
        assert told[:LOOKS_OF_NEWS] == list(range(LOOKS_OF_NEWS))
        assert len(told) < LOOKS_OF_NEWS + 5


def test_what_is_ordered_and_who_connects_is_news() -> None:
    """The next look is told, and those after it, until there has been time for it to happen."""
    pace = Pace()
    flows = lambda at_s: [track(at_s)]  # noqa: E731
    assert reports(pace, 3, flows) == [0]
    pace.news(100.5)
    told = reports(pace, 30, flows, since_s=100.6)
    assert told[:10] == list(range(10))
    assert len(told) < LOOKS_OF_NEWS + 5
