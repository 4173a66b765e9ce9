"""Workers that are replaced by a successor which is up before they stop: no picture is missing."""

import os
from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.integration.service import Json, Service, gaps_of, numbers_of, table
from tests.integration.test_service_limits import LEAKING
from tests.integration.test_service_outputs import OFTEN, outputs

from stream_manager.lab.camera import Camera
from stream_manager.recordings.catalogue import overlaps_s
from stream_manager.store import read_index, read_segments
from stream_manager.store.segments import Segment

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]
OVERLAP_PICTURES = 75  # more than both record, and fewer than the film has
MAKES_BEFORE_BREAK = '"make-before-break"'


def rules(running: Service, *, named: str = "handover-") -> list[Json]:
    """Return the journal's entries about handovers."""
    return [it for it in running.journal("cam") if it["rule"].startswith(named)]


def is_replaced(stream: Json) -> bool:
    """Tell whether the second worker of a stream runs."""
    return bool(stream["epoch"] == 2 and stream["health"] == "healthy")


def recorded(running: Service) -> dict[int, list[Segment]]:
    """Return what each recorder wrote, by its epoch, as the index says."""
    segments = read_index(running.state_dir, lambda it: read_segments(it, stream="cam"))
    epochs = sorted({it.epoch for it in segments})
    return {epoch: [it for it in segments if it.epoch == epoch] for epoch in epochs}


def lacks_nothing(running: Service) -> None:
    """Assert that each recorder has every picture, and the next one begins with one of its last.

    The film begins anew every few seconds: what is of both has to agree picture by picture.
    """
    recorders = list(recorded(running).values())
    numbers = [
        [number for it in files for number in numbers_of(running.recordings / it.path)]
        for files in recorders
    ]
    last = max(map(max, numbers))
    for one in numbers:
        steps = [(it, next_) for it, next_ in pairwise(one) if next_ != it + 1]
        assert set(steps) <= {(last, 0)}
    for former, latter in pairwise(numbers):
        tail = former[-min(last, OVERLAP_PICTURES) :]
        common = tail[tail.index(latter[0]) :]
        assert latter[: len(common)] == common
    assert gaps_of(running, "cam") == [("stopped", "manager")]


def test_error_isolation_a_worker_is_replaced_without_a_missing_picture(
    service: MakeService, camera: Camera
) -> None:
    """Both sets of files overlap, the index knows of no gap, and there was no outage."""
    running = service(table("cam", camera.url("cam"), handover=MAKES_BEFORE_BREAK)).start()
    running.wait_healthy("cam")
    first = running.stream("cam")["pid"]
    running.wait("a file", lambda: len(running.files("cam")) > 1)
    running.command("cam", "restart")
    now = running.wait_for("cam", is_replaced)
    assert [it["rule"] for it in rules(running)] == ["handover-begun", "handover-verified"]
    assert "an operator's restart" in rules(running)[0]["message"]
    assert (now["outage_s_total"], now["last_fault"], now["availability"]) == (0.0, None, 1.0)
    running.wait("the end of the first worker", lambda: first not in running.pids())
    files = len(running.files("cam"))
    running.wait("more files of the second", lambda: len(running.files("cam")) > files + 1)
    assert running.stop() == 0
    former, latter = recorded(running).values()
    assert {it.state.value for it in former + latter} == {"whole"}
    assert former[-1].ended_at is not None
    assert latter[0].began_at < former[-1].ended_at
    assert any(overlaps_s([*former, *latter]))
    lacks_nothing(running)


def test_a_camera_with_one_session_is_left_before_its_next_viewer_comes(
    service: MakeService, camera: Camera
) -> None:
    """The successor is refused and ended, that is told, and the worker is replaced without one."""
    camera.order("single-session")
    running = service(table("cam", camera.url("cam"), handover=MAKES_BEFORE_BREAK)).start()
    running.wait_healthy("cam")
    running.command("cam", "restart")
    running.wait_for("cam", is_replaced)
    begun, failed = rules(running)
    assert (begun["rule"], failed["rule"]) == ("handover-begun", "handover-failed")
    assert "453" in failed["message"]
    assert rules(running, named="restart-commanded")
    assert len(running.workers()) == 1


def test_error_isolation_a_manager_killed_in_a_handover_leaves_one_worker(
    service: MakeService, camera: Camera
) -> None:
    """The next manager goes on with one of the two, and no picture is missing."""
    running = service(table("cam", camera.url("cam"), handover=MAKES_BEFORE_BREAK)).start()
    running.wait_healthy("cam")
    running.command("cam", "restart")
    running.wait("a second worker", lambda: len(running.workers()) == 2)
    running.crash()
    running.start().wait_healthy("cam")
    running.wait("one worker", lambda: len(running.workers()) == 1)
    told = {it["rule"] for it in running.journal("cam") if it["component"] == "cam"}
    assert "handover-begun" in told
    assert "adopted" in told
    files = len(running.files("cam"))
    running.wait("more files", lambda: len(running.files("cam")) > files + 1)
    assert running.stop() == 0
    lacks_nothing(running)


def test_error_isolation_a_leaking_worker_is_replaced_without_an_outage(
    service: MakeService,
) -> None:
    """Above restart_above a successor takes over, with limits of its own, charged nothing."""
    limits = '{ memory = "1GiB", restart_above = "80MiB" }'
    running = service(table("cam", LEAKING, limits=limits, handover=MAKES_BEFORE_BREAK)).start()
    now = running.wait_for("cam", is_replaced)
    assert [it["rule"] for it in rules(running)][:2] == ["handover-begun", "handover-verified"]
    assert "restart_above is 80.0 MiB" in rules(running)[0]["message"]
    assert (now["restarts_total"], now["last_fault"], now["outage_s_total"]) == (0, None, 0.0)
    assert now["usage"] is None or now["usage"]["memory_limit_bytes"] == 2**30


def test_error_isolation_a_worker_with_an_abandoned_output_is_replaced_by_a_successor(
    service: MakeService,
) -> None:
    """What hangs in the first ends with its process, once the second is up."""
    running = service(table("cam", "test:"), recovery=OFTEN)
    pipe = running.folder / "pipe"
    os.mkfifo(pipe)
    sink = f"h264parse ! video/x-h264,stream-format=byte-stream ! filesink location={pipe}"
    stream = table("cam", "test:", handover=MAKES_BEFORE_BREAK)
    running.configure(stream, outputs(hung=sink))
    running.start()
    running.wait("a handover", lambda: len(rules(running)) >= 2)
    begun, verified = rules(running)[:2]
    assert (begun["rule"], verified["rule"]) == ("handover-begun", "handover-verified")
    assert "cam/hung had to be abandoned" in begun["message"]
    assert running.stop() == 0
    assert gaps_of(running, "cam") == [("stopped", "manager")]
