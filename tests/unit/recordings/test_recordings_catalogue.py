"""What is read for the gaps of a range, against what all of the past says of them."""

import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.library import NOON, Library, segment

from stream_manager.recordings import catalogue
from stream_manager.recordings.catalogue import read_gaps
from stream_manager.recordings.gaps import Gap
from stream_manager.recordings.times import Range
from stream_manager.store import Mark, Segment, SegmentState, read_index
from stream_manager.store.segments import read_segments_begun

NAME = "front-door"
NOW_S = 100
FINISHED = (SegmentState.WHOLE, SegmentState.TRUNCATED, SegmentState.UNREADABLE)
CAUSES = ("starting", "crash", "stall", "stopped")


def at(at_s: float) -> datetime:
    """Return an instant, counted from noon."""
    return NOON + timedelta(seconds=at_s)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Draw files that follow each other, lie apart, overlap, break off or are being written."""
    begins = sorted(draw(st.sets(st.integers(0, NOW_S), max_size=12)))
    made = []
    for sequence, began_s in enumerate(begins):
        length_s = draw(st.sampled_from((0, 1, 3, 8, 40)))
        it = segment(
            began_s,
            sequence=sequence,
            epoch=draw(st.integers(1, 2)),
            continues=draw(st.booleans()),
            duration_s=float(length_s),
            state=draw(st.sampled_from(FINISHED)),
        )
        if draw(st.integers(0, 7)) == 0:
            it = replace(it, state=SegmentState.OPEN, duration_s=None, bytes=None)
        made.append(it)
    return made


@st.composite
def marks(draw: st.DrawFn) -> list[Mark]:
    """Draw why nothing was recorded at times."""
    times_s = draw(st.sets(st.integers(-4, 2 * NOW_S + 4), max_size=12))
    return [
        Mark(stream=NAME, at=at(at_s / 2), cause=draw(st.sampled_from(CAUSES)), code=str(at_s))
        for at_s in sorted(times_s)
    ]


bounds = st.none() | st.integers(-3, NOW_S + 20)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Make an index whose rows each example replaces."""
    return Library(tmp_path_factory.mktemp("catalogue"))


def of_all(library: Library, within: Range, now: datetime) -> list[Gap]:
    """Return the gaps of a range, from all that the index has."""
    found = (catalogue._clipped(it, within, now) for it in read_gaps_of_all(library, now))
    return [it for it in found if it is not None]


def read_gaps_of_all(library: Library, now: datetime) -> Sequence[Gap]:
    """Return all gaps."""
    return read_gaps(library.state_dir, NAME, Range(), now=now)
