"""What is read for the gaps of a range, against what all of the past says of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.library import NOON, Library, segment

from stream_manager.cli.segments_view import segment_lines
from stream_manager.recordings.catalogue import clipped, overlaps_s, read_gaps
from stream_manager.recordings.gaps import find_gaps
from stream_manager.recordings.times import Range
from stream_manager.store import Mark, Segment, SegmentState, read_index, read_marks, read_segments
from stream_manager.store.queries import read_context, read_segments_begun

LAST_S = 24
FINISHED = (SegmentState.WHOLE, SegmentState.TRUNCATED, SegmentState.UNREADABLE)
CAUSES = ("starting", "crash", "stall", "stopped")


def at(at_s: float) -> datetime:
    """Return an instant, counted from noon."""
    return NOON + timedelta(seconds=at_s)


@st.composite
def histories(draw: st.DrawFn) -> list[Segment | Mark]:
    """Draw files that follow each other, lie apart, overlap or are open, and marks between them."""
    begins = sorted(draw(st.sets(st.integers(0, LAST_S), min_size=2, max_size=9)))
    marked = draw(st.sets(st.integers(-8, 2 * LAST_S), min_size=3, max_size=12))
    rows: list[Segment | Mark] = []
    for sequence, began_s in enumerate(begins):
        length_s = draw(st.sampled_from((0.0, 1.0, 3.0, 8.0, 20.0)))
        it = segment(
            began_s,
            sequence=sequence,
            epoch=draw(st.integers(1, 2)),
            continues=draw(st.booleans()),
            duration_s=length_s,
            state=draw(st.sampled_from(FINISHED)),
        )
        if draw(st.integers(0, 7)) == 0:
            it = replace(it, state=SegmentState.OPEN, duration_s=None, bytes=None)
        rows.append(it)
    rows += [
        Mark(stream="", at=at(it / 2), cause=draw(st.sampled_from(CAUSES)), code=str(it))
        for it in sorted(marked)
    ]
    return rows


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Make an index that has a stream for each example."""
    return Library(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    """Name those streams."""
    return (f"cam-{number}" for number in count())


@settings(max_examples=60, deadline=None)
@given(
    rows=histories(),
    edges=st.lists(
        st.sets(st.integers(-3, LAST_S + 6), min_size=2, max_size=2), min_size=8, max_size=8
    ),
    now_s=st.integers(LAST_S - 6, LAST_S + 9),
)
def test_the_gaps_of_a_range_are_those_of_all_time(
    library: Library,
    names: Iterator[str],
    rows: list[Segment | Mark],
    edges: list[set[int]],
    now_s: int,
) -> None:
    """Reading a part of the past changes none of them, wherever the range begins and ends."""
    name = next(names)
    library.hold(
        segment(0, stream=name, path=f"{name}/unreadable", state=SegmentState.UNREADABLE),
        *(
            replace(it, stream=name, path=f"{name}/{it.began_at:%M-%S}")
            if isinstance(it, Segment)
            else replace(it, stream=name)
            for it in rows
        ),
    )
    now = at(now_s)
    segments = read_index(library.state_dir, lambda it: read_segments(it, stream=name))
    marks = read_index(library.state_dir, lambda it: read_marks(it, name))
    of_all = find_gaps(name, segments, marks)
    for since, until in (sorted(it) for it in edges):
        for within in (
            Range(since=at(since), until=at(until)),
            Range(since=at(since)),
            Range(until=at(until)),
        ):
            expected = [it for gap in of_all if (it := clipped(gap, within, now)) is not None]
            assert read_gaps(library.state_dir, name, within, now=now) == expected


def test_of_a_long_past_little_is_read(tmp_path: Path) -> None:
    """Of the segments before the range it is the one that reached furthest; marks begin with it."""
    library = Library(tmp_path)
    library.hold(
        *(segment(at_s) for at_s in range(0, 1000, 10)),
        *(Mark(stream="front-door", at=at(at_s), cause="stall") for at_s in range(0, 1000, 10)),
    )
    first, last = read_index(
        library.state_dir,
        lambda it: read_context(it, "front-door", since=at(500), until=at(505)),
    )
    assert (first, last) == (at(490), at(510))
    begun = read_index(
        library.state_dir,
        lambda it: read_segments_begun(it, "front-door", first=first, last=last),
    )
    assert [it.began_at for it in begun] == [at(490), at(500), at(510)]
    marks = read_index(
        library.state_dir, lambda it: read_marks(it, "front-door", first=first, last=last)
    )
    assert [it.at for it in marks] == [at(490), at(500), at(510)]


def test_what_reached_furthest_before_a_range_need_not_have_begun_last(tmp_path: Path) -> None:
    """A fault within it explains no gap after it; of files that overlap the first is read too."""
    library = Library(tmp_path)
    library.hold(
        segment(0, duration_s=30.0),
        segment(5, duration_s=2.0, epoch=2),
        Mark(stream="front-door", at=at(8), cause="crash"),
        segment(60, epoch=3, state=SegmentState.OPEN, duration_s=None),
    )
    within = Range(since=at(40), until=at(70))
    (gap,) = read_gaps(library.state_dir, "front-door", within, now=at(80))
    assert (gap.began_at, gap.ended_at, gap.cause) == (at(40), at(60), "unknown")
    first, _ = read_index(
        library.state_dir, lambda it: read_context(it, "front-door", since=at(6), until=None)
    )
    assert first == at(0)


def test_what_two_recorders_wrote_is_told_of_the_later_file() -> None:
    """By how much, and only where another recorder was at work: a file may begin a little early."""
    segments = [
        segment(0),
        segment(9.95, sequence=2),
        segment(18, epoch=2, sequence=1),
        segment(27.95, epoch=2, sequence=2),
        segment(28.0, stream="yard", epoch=3),
    ]
    assert overlaps_s(segments) == [0.0, 0.0, 1.95, 0.0, 0.0]
    *_, total, overlap = segment_lines(segments, {})
    assert total.startswith("5 files")
    assert overlap.startswith("front-door: 1.95 s from ")


def test_a_file_inside_another_recorders_is_told_whole() -> None:
    """It may end before the former one does."""
    assert overlaps_s([segment(0), segment(2, epoch=2, duration_s=3.0)]) == [0.0, 3.0]
