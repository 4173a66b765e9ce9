"""Segments whose files are known to be gone."""

from datetime import timedelta
from pathlib import Path

from tests.unit.library import NOON, TS, segment

from stream_manager.cli.segments_view import segment_lines, verdict_lines
from stream_manager.recordings.catalogue import Catalogue
from stream_manager.recordings.joining import chosen
from stream_manager.recordings.times import Range
from stream_manager.recordings.verify import Inspection, problem
from stream_manager.store import SegmentState

GONE = segment(10, state=SegmentState.MISSING)


def test_a_file_that_is_known_to_be_gone_is_no_error(tmp_path: Path) -> None:
    """Nothing is wrong with it until it is there again."""
    assert problem(GONE, {"main": tmp_path}) is None
    path = tmp_path / GONE.path
    path.parent.mkdir(parents=True)
    path.write_bytes(TS)
    assert problem(GONE, {"main": tmp_path}) == "it was missing, and is there again"


def test_it_is_shown_as_missing(tmp_path: Path) -> None:
    """In the list, and among the verdicts as known."""
    volumes = {"main": tmp_path}
    assert "  missing  " in list(segment_lines([GONE], volumes))[1]
    catalogue = Catalogue(streams=("front-door",), volumes=volumes, segments=(segment(0), GONE))
    lines = [*verdict_lines(Inspection(catalogue=catalogue, unknown=(), lost={}), [])]
    assert lines == [
        "1 file known to be gone: gaps, with the cause file-missing",
        "2 files verified (1 missing, 1 whole): 2 as indexed, 0 wrong; 0 not indexed",
    ]


def test_it_is_not_exported() -> None:
    """Nor does it stand for the file before it, which has pictures of the beginning."""
    within = Range(since=GONE.began_at + timedelta(seconds=1), until=NOON.replace(hour=13))
    longer = segment(0, duration_s=15.0)
    assert chosen([longer, GONE, segment(20)], within) == [longer, segment(20)]
