"""Real managers that are killed over and over, and what their streams' counters become of it."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from tests.integration.locked_camera import LockedCamera
from tests.integration.service import Json, Service, table

from stream_manager.lab.camera import Camera
from stream_manager.recordings import Gap, find_gaps
from stream_manager.store import read_index, read_marks, read_segments

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]

# Waits of 1, 2, 4 and then 5 s.
DOUBLING = """\
backoff = { base = "1s", cap = "5s", jitter = "none" }
budget = { restarts = 3, within = "60s" }
verify_for = "200ms"
stable_for = "60s"
"""


def last_gap(service: Service, id_: str) -> Gap:
    """Return the newest gap of a stream."""
    segments = read_index(service.state_dir, lambda it: read_segments(it, stream=id_))
    marks = read_index(service.state_dir, lambda it: read_marks(it, id_))
    return find_gaps(id_, segments, marks)[-1]


def charged(service: Service, id_: str) -> int:
    """Return how many charged restarts stand in a component's window, by `explain`."""
    answer = service.explain(id_)
    return next(int(it["charged"]) for it in answer["components"] if it["id"] == id_)


def waiting(service: Service, *, attempt: int) -> Json:
    """Return the status of "cam" as soon as it waits, so many attempts after it was well."""
    return service.wait_for(
        "cam", lambda it: (it["state"], it["attempt"]) == ("backing_off", attempt)
    )


def test_recovery_goes_on_through_managers_that_are_killed(
    service: MakeService, camera: Camera
) -> None:
    """Attempts at a camera that refuses are counted on by three more, and no wait gets shorter."""
    camera.die()
    running = service(table("cam", camera.url("cam")), recovery=DOUBLING).start()
    waits = waiting(running, attempt=3)
    lost_s = 0.0
    for attempt in (3, 4, 5):
        killed_s, left_s = time.monotonic(), waits["next_attempt_in_s"]
        running.crash()
        running.start()
        again = running.stream("cam")
        assert (again["attempt"], again["restarts_total"]) == (attempt, attempt)
        assert again["last_fault"]["code"] == "ECONNREFUSED"
        assert again["outage_s_total"] > lost_s
        lost_s = again["outage_s_total"]
        waits = waiting(running, attempt=attempt + 1)
        assert time.monotonic() - killed_s >= left_s
        assert waits["restarts_total"] == attempt + 1
    gap = last_gap(running, "cam")
    assert (gap.cause, gap.ended_at) == ("network", None)
    camera.start()
    running.command("cam", "reset")
    running.wait_healthy("cam")
    assert running.stream("cam")["outage_s_total"] > lost_s


def test_recovery_spends_a_budget_over_two_managers(service: MakeService) -> None:
    """Two crashes of the worker before the kill and two after it are one more than three."""
    running = service(table("cam", "test:"), recovery=DOUBLING).start()
    running.wait_healthy("cam")
    for crashes in (1, 2):
        kill_worker(running, "cam", crashes)
    running.crash()
    running.start()
    assert charged(running, "cam") == 2
    running.wait_healthy("cam")
    assert running.stream("cam")["restarts_total"] == 2
    for crashes in (3, 4):
        kill_worker(running, "cam", crashes)
    failed = running.wait_for("cam", lambda it: it["state"] == "failed")
    assert failed["health"] == "failed"
    rules = [it["rule"] for it in running.journal("cam") if it["component"] == "cam"]
    assert rules.count("budget-spent") == 1
    running.crash()
    running.start()
    assert running.stream("cam")["state"] == "failed"
    left_s = running.stream("cam")["next_attempt_in_s"]
    assert 0 < left_s <= failed["next_attempt_in_s"]


def kill_worker(service: Service, id_: str, crashes: int) -> None:
    """Kill a stream's worker when it is healthy, and wait until that is known."""
    service.wait_healthy(id_)
    os.kill(service.stream(id_)["pid"], signal.SIGKILL)
    service.wait("the crash to be known", lambda: charged(service, id_) == crashes)


def test_a_refused_password_is_not_presented_again_by_the_next_managers(
    service: MakeService,
) -> None:
    """No crash of the manager costs a guess; an orderly restart and a new password do, one each."""
    with LockedCamera() as camera, camera.serving():
        cam = table("cam", camera.url)
        running = service(cam, table("bystander", "test:")).start()
        running.wait_for("cam", lambda it: it["state"] == "failed")
        guesses = camera.guesses
        assert guesses > 0
        for _ in range(3):
            running.crash()
            running.start().wait_healthy("bystander")
            running.wait_for("cam", lambda it: it["state"] == "failed" and it["pid"] is not None)
            running.wait_media("bystander", 1)
            assert camera.guesses == guesses
            assert running.stream("cam")["last_fault"]["cause"] == "auth"
            gap = last_gap(running, "cam")
            assert (gap.cause, gap.ended_at) == ("auth", None)

        running.stop()
        running.start().wait_healthy("bystander")
        running.wait("one more try", lambda: camera.guesses == 2 * guesses)
        running.wait_for("cam", lambda it: it["state"] == "failed")

        running.crash()
        another = table("cam", camera.url.replace("wrong", "wrong-too"))
        running.configure(another, table("bystander", "test:"))
        running.start().wait_healthy("bystander")
        running.wait("the new password to be tried", lambda: camera.guesses == 3 * guesses)
        running.wait_for("cam", lambda it: it["state"] == "failed")
        running.wait_media("bystander", 1)
        assert camera.guesses == 3 * guesses
