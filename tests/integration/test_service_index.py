"""The index of a real manager's recordings: every second recorded or explained."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

from stream_manager.recordings import Gap, find_gaps
from stream_manager.store import (
    Segment,
    SegmentState,
    read_index,
    read_marks,
    read_segments,
)

pytestmark = pytest.mark.media


def segments_of(service: Service, id_: str = "cam") -> list[Segment]:
    """Return what the index holds of a stream now."""
    return read_index(service.state_dir, lambda it: read_segments(it, stream=id_))


def gaps_of(service: Service, id_: str = "cam") -> list[Gap]:
    """Return the gaps of a stream now."""
    marks = read_index(service.state_dir, lambda it: read_marks(it, id_))
    return find_gaps(id_, segments_of(service, id_), marks)


def wait_indexed(service: Service, count: int, state: SegmentState, id_: str = "cam") -> None:
    """Wait until so many segments of a stream are in a state."""
    service.wait(
        f"{count} segments to be {state.value}",
        lambda: sum(it.state is state for it in segments_of(service, id_)) >= count,
    )


def test_a_stream_that_runs_has_no_gap_and_every_file_is_known(
    service: Callable[..., Service],
) -> None:
    """Files and index agree in number, size and extent, from the first picture on."""
    it = service(table("cam", "test:")).start()
    wait_indexed(it, 3, SegmentState.WHOLE)
    it.stop()
    segments = segments_of(it)
    assert [str(it.recordings / segment.path) for segment in segments] == [
        str(path) for path in it.files("cam")
    ]
    assert {segment.state for segment in segments} == {SegmentState.WHOLE}
    for segment in segments:
        path = it.recordings / segment.path
        assert path.stat().st_size == segment.bytes
        assert len(frame_times_s(path)) == pytest.approx((segment.duration_s or 0) * 25, abs=1)
    assert all(after.continues for after in segments[1:])
    assert [gap.cause for gap in gaps_of(it)] == ["starting", "stopped"]


def test_a_killed_worker_leaves_a_file_cut_off_and_a_gap_by_a_crash(
    service: Callable[..., Service],
) -> None:
    """The file is measured; the gap ends with the next one, and knows its outage."""
    it = service(table("cam", "test:", backoff='{ base = "1s", cap = "1s" }')).start()
    wait_indexed(it, 1, SegmentState.WHOLE)
    for _ in range(2):  # the second crash is not retried at once, so that its gap is seen
        it.wait_healthy("cam")
        it.wait_media("cam", 1)
        (pid,) = it.workers()
        os.kill(pid, signal.SIGKILL)
        it.wait_for("cam", partial(_is_another, pid))
    it.wait_healthy("cam")
    wait_indexed(it, 2, SegmentState.TRUNCATED)
    it.wait("the outage to be written", lambda: gaps_of(it)[-1].outage_s is not None)
    it.stop()
    cut_off = [segment for segment in segments_of(it) if segment.state is SegmentState.TRUNCATED]
    for segment in cut_off:
        shown = len(frame_times_s(it.recordings / segment.path))
        assert shown == pytest.approx((segment.duration_s or 0) * 25, abs=1)
    crash = [gap for gap in gaps_of(it) if gap.cause == "crash"][-1]
    assert crash.code == "SIGKILL"
    assert crash.ended_at is not None
    lasted_s = (crash.ended_at - crash.began_at).total_seconds()
    assert crash.outage_s == pytest.approx(lasted_s, abs=0.3)


def test_a_killed_manager_and_a_stop_are_told_apart(service: Callable[..., Service]) -> None:
    """The gap of a manager's absence has it as its cause; an operator's stop has the operator."""
    it = service(table("cam", "test:")).start()
    wait_indexed(it, 1, SegmentState.WHOLE)
    it.crash()
    for pid in it.pids():
        os.kill(pid, signal.SIGKILL)
    it.wait("every process to end", lambda: not it.pids())
    it.start().wait_healthy("cam")
    it.command("cam", "stop")
    it.wait("the stop to last", lambda: _lasts(gaps_of(it)[-1], "stopped"))
    it.command("cam", "start")
    it.wait_healthy("cam")
    it.stop()
    gaps = [(gap.cause, gap.code) for gap in gaps_of(it)]
    assert gaps[0][0] == "starting"
    assert gaps[1:] == [("manager", "not-running"), ("stopped", "operator"), ("stopped", "manager")]
    assert SegmentState.OPEN not in {segment.state for segment in segments_of(it)}


def test_a_lost_index_is_made_anew_while_streams_run(service: Callable[..., Service]) -> None:
    """Removed and broken alike: every file is found and measured, and recording goes on."""
    it = service(table("cam", "test:")).start()
    wait_indexed(it, 2, SegmentState.WHOLE)
    it.stop()
    before = segments_of(it)
    for path in it.state_dir.glob("segments.db*"):
        path.unlink()
    _break(it.state_dir / "segments.db")
    it.start()
    paths = {segment.path for segment in before}
    it.wait("every file to be known", lambda: paths <= {one.path for one in segments_of(it)})
    found = {segment.path: segment for segment in segments_of(it)}
    for segment in before:
        assert found[segment.path].bytes == segment.bytes
        assert found[segment.path].duration_s == pytest.approx(segment.duration_s, abs=0.05)
        assert abs(found[segment.path].began_at - segment.began_at).total_seconds() < 0.001
    assert any("is kept as segments.db.corrupt-" in line["event"] for line in it.logged())
    it.wait_recorded("cam")


def test_most_files_gone_is_an_unmounted_disk(service: Callable[..., Service]) -> None:
    """The index keeps them, says so once, and new recordings are indexed all the same."""
    it = service(table("cam", "test:")).start()
    wait_indexed(it, 2, SegmentState.WHOLE)
    it.stop()
    before = segments_of(it)
    it.recordings.rename(it.folder / "elsewhere")
    it.start().wait_healthy("cam")
    it.wait("the loss to be told", lambda: it.logged(volume="main", missing=len(before)))
    wait_indexed(it, len(before) + 1, SegmentState.WHOLE)
    known = {segment.path for segment in segments_of(it)}
    assert known > {segment.path for segment in before}


def _is_another(pid: int, now: Json) -> bool:
    """Tell whether another process has taken the place of `pid`."""
    return now["pid"] not in (None, pid)


def _lasts(gap: Gap, cause: str) -> bool:
    """Tell whether nothing is recorded for that cause, for longer than times are exact."""
    for_s = (datetime.now(UTC) - gap.began_at).total_seconds()
    return gap.ended_at is None and gap.cause == cause and for_s > 0.5


def _break(path: Path) -> None:
    path.write_bytes(b"this was an index once" * 1000)
