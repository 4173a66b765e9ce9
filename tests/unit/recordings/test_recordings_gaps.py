"""Gaps derived from segments and marks, as a table of times."""

from datetime import UTC, datetime, timedelta

import pytest

from stream_manager.recordings import Gap, find_gaps
from stream_manager.store import Mark, Segment, SegmentState

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return an instant, counted from noon."""
    return NOON + timedelta(seconds=seconds)


def segment(
    began_s: float,
    duration_s: float | None,
    *,
    sequence: int = 9,
    epoch: int = 1,
    continues: bool = False,
    holes: tuple[tuple[float, float], ...] = (),
    state: SegmentState = SegmentState.WHOLE,
) -> Segment:
    """Return a segment of "cam"."""
    return Segment(
        stream="cam",
        volume="main",
        path=f"cam/{began_s}.ts",
        began_at=at(began_s),
        duration_s=duration_s,
        container="ts",
        sequence=sequence,
        epoch=epoch,
        continues=continues,
        holes=tuple((at(began), at(ended), "stall") for began, ended in holes),
        state=SegmentState.OPEN if duration_s is None else state,
    )


def mark(at_s: float, cause: str, code: str = "", outage_s: float | None = None) -> Mark:
    """Return a mark of "cam"."""
    return Mark(stream="cam", at=at(at_s), cause=cause, code=code, outage_s=outage_s)


def gap(began_s: float, ended_s: float | None, cause: str, **more: object) -> Gap:
    """Return a gap of "cam"."""
    fields = {"code": "", "outage_s": None, **more}
    ended = None if ended_s is None else at(ended_s)
    return Gap(
        stream="cam",
        began_at=at(began_s),
        ended_at=ended,
        cause=cause,
        code=str(fields["code"]),
        outage_s=fields["outage_s"],  # type: ignore[arg-type] # a number or None, as given
    )


def gaps(segments: list[Segment], marks: list[Mark]) -> list[Gap]:
    """Return the gaps of "cam"."""
    return find_gaps("cam", segments, marks)


def test_files_cut_from_one_flow_have_no_gap() -> None:
    """Whatever the times of their names say, nothing is missing between them."""
    files = [
        segment(0, 60, sequence=1),
        segment(60.4, 60, sequence=2, continues=True),
        segment(119, None, sequence=3, continues=True),
    ]
    assert gaps(files, [mark(-0.05, "starting")]) == []


def test_a_missing_file_is_a_gap_of_its_own() -> None:
    """Beside the outage before it, which keeps its own cause and its own length."""
    files = [
        segment(0, 60, sequence=1),
        segment(100, 60, sequence=1, epoch=2, state=SegmentState.MISSING),
        segment(160, None, sequence=2, epoch=2, continues=True),
    ]
    marks = [mark(0, "starting"), mark(60.1, "network", "eos", outage_s=40.0)]
    assert gaps(files, marks) == [
        gap(60, 100, "network", code="eos", outage_s=40.0),
        gap(100, 160, "file-missing"),
    ]


@pytest.mark.parametrize(("state", "epoch"), [(SegmentState.TRUNCATED, 1), (SegmentState.WHOLE, 2)])
def test_only_a_whole_file_of_the_same_run_is_gone_on_from(state: SegmentState, epoch: int) -> None:
    """One that was cut off, and one of another run, end where they end."""
    files = [
        segment(0, 18, sequence=1, epoch=epoch, state=state),
        segment(60, None, sequence=2, continues=True),
    ]
    assert gaps(files, []) == [gap(18, 60, "unknown")]


def test_files_that_were_found_are_less_exact() -> None:
    """Nobody told that one goes on from the other, and a name tells milliseconds alone."""
    files = [segment(0, 60, sequence=0), segment(60.3, None, sequence=0)]
    assert gaps(files, []) == []


def test_a_cause_after_the_gap_explains_nothing() -> None:
    """What happened once it was recorded again concerns the next gap."""
    marks = [mark(0, "starting"), mark(45, "network", "eos")]
    found = gaps([segment(0, 30), segment(40, 5, epoch=2), segment(50, None, epoch=3)], marks)
    assert [it.cause for it in found] == ["unknown", "network"]


def test_a_gap_has_the_cause_that_began_it_and_its_outage() -> None:
    """A stall that was followed by refused connections is a gap by a stall."""
    marks = [
        mark(0, "starting"),
        mark(30.7, "stall", "stall", outage_s=12.0),
        mark(35, "network", "ECONNREFUSED"),
    ]
    found = gaps([segment(0, 30), segment(42, None, epoch=2)], marks)
    assert found == [gap(30, 42, "stall", code="stall", outage_s=12.0)]


def test_a_fault_may_be_seen_before_the_last_pictures_are_written() -> None:
    """What is on its way then still reaches the file; a fault of an earlier run explains nothing.

    The second gap follows the first within a second, and has no mark of its own.
    """
    marks = [mark(0, "starting"), mark(29.9, "network", "eos")]
    files = [segment(0, 30), segment(31, 0.5, epoch=2), segment(33, None, epoch=3)]
    assert gaps(files, marks) == [gap(30, 31, "network", code="eos"), gap(31.5, 33, "unknown")]


def test_a_gap_that_lasts_has_no_end() -> None:
    """Nothing has been recorded since, and nothing is being recorded."""
    marks = [mark(0, "starting"), mark(30.1, "network", "eos")]
    assert gaps([segment(0, 30)], marks) == [gap(30, None, "network", code="eos")]


def test_time_before_the_first_file_counts_since_it_was_wanted() -> None:
    """A camera that is down at the first start is a gap from then on."""
    marks = [mark(0, "starting"), mark(0.1, "network", "ECONNREFUSED", outage_s=9.0)]
    expected = [gap(0, 10, "network", code="ECONNREFUSED", outage_s=9.0)]
    assert gaps([segment(10, None)], marks) == expected
    assert gaps([], marks[:1]) == [gap(0, None, "starting")]


def test_a_stop_and_the_trouble_after_it_are_two_gaps() -> None:
    """Nobody wanted it, and then the camera was down: each has its own cause."""
    marks = [
        mark(0, "starting"),
        mark(30, "stopped", "operator"),
        mark(50, "starting"),
        mark(50.1, "network", "ECONNREFUSED"),
    ]
    found = gaps([segment(0, 30), segment(60, None, epoch=2)], marks)
    assert found == [
        gap(30, 50, "stopped", code="operator"),
        gap(50, 60, "network", code="ECONNREFUSED"),
    ]


def test_a_start_that_succeeds_at_once_is_no_gap_of_its_own() -> None:
    """The moment that a start takes belongs to the stop before it."""
    marks = [mark(0, "starting"), mark(30, "stopped", "operator"), mark(50, "starting")]
    found = gaps([segment(0, 30), segment(50.3, None, epoch=2)], marks)
    assert found == [gap(30, 50.3, "stopped", code="operator")]


def test_a_start_explains_nothing_before_it() -> None:
    """Of the time before nothing is known where its marks were lost, whatever the start met."""
    files = [segment(0, 30, sequence=0, epoch=0), segment(52, None, sequence=1)]
    expected = [gap(30, 50, "unknown"), gap(50, 52, "starting")]
    assert gaps(files, [mark(50, "starting")]) == expected
    assert gaps(files[:1], [mark(50, "starting")]) == [expected[0], gap(50, None, "starting")]
    down = [mark(50, "starting"), mark(50.1, "network", "ECONNREFUSED")]
    assert gaps(files, down) == [expected[0], gap(50, 52, "network", code="ECONNREFUSED")]


def test_no_part_of_a_gap_begins_before_the_gap() -> None:
    """A restart is commanded while the last pictures are still on their way into the file."""
    marks = [mark(0, "starting"), mark(29, "restarted", "operator"), mark(29.001, "starting")]
    files = [segment(0, 30), segment(40, None, epoch=2)]
    assert gaps(files, marks) == [gap(30, 40, "restarted", code="operator")]
    marks.append(mark(31, "network", "eos"))
    assert gaps(files, marks) == [gap(30, 40, "network", code="eos")]


def test_holes_in_a_file_are_gaps() -> None:
    """Media stopped and came again before it counted as a stall."""
    found = gaps([segment(0, 60, holes=((10, 10.6),))], [mark(60, "stopped", "operator")])
    assert found == [
        gap(10, 10.6, "stall", code="no-restart"),
        gap(60, None, "stopped", code="operator"),
    ]


def test_a_file_that_can_not_be_played_records_nothing() -> None:
    """The gap reaches over it."""
    files = [
        segment(0, 30),
        segment(31, 0, epoch=2, state=SegmentState.UNREADABLE),
        segment(40, None, epoch=3),
    ]
    assert gaps(files, [mark(30.1, "crash", "SIGKILL")]) == [gap(30, 40, "crash", code="SIGKILL")]


def test_files_that_overlap_leave_no_gap() -> None:
    """What reaches further counts, as after a clock was set back."""
    files = [segment(0, 60), segment(20, 10, epoch=2), segment(60, None, epoch=3)]
    assert gaps(files, [mark(0, "starting")]) == []
    assert gaps([segment(0, None), segment(20, 10, epoch=2)], []) == []


def test_an_instant_between_two_runs_is_no_gap() -> None:
    """Less than a twentieth of a second is how exactly times are known."""
    assert gaps([segment(0, 30), segment(30.04, None, epoch=2)], []) == []


def test_a_pause_that_ended_by_itself_is_a_short_stall() -> None:
    """The same recorder begins another file after it, and nothing was decided in between."""
    files = [segment(0, 30, sequence=1), segment(31.5, None, sequence=2)]
    assert gaps(files, [mark(0, "starting")]) == [gap(30, 31.5, "stall", code="no-restart")]
