"""Workers outlive the manager: killed or leaving, it costs no stream a frame."""

import os
import signal
from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.integration.service import Service, frame_times_s, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]
FRAME_S = 0.04


def missing_frames(service: Service, stream: str) -> list[tuple[float, float]]:
    """Return where a picture is missing or too much in all that was recorded of one run.

    In MPEG-TS the times go on from file to file.
    """
    times_s = [it for path in service.files(stream) for it in frame_times_s(path)]
    assert len(times_s) > 25
    return [(a, b) for a, b in pairwise(times_s) if not 0.5 * FRAME_S < b - a < 1.5 * FRAME_S]


def test_a_killed_manager_costs_no_frame(service: MakeService, camera: Camera) -> None:
    """The next one adopts every worker as the run that it is, and says so."""
    running = service(table("cam", camera.url("cam")), table("other", "test:")).start()
    running.wait_healthy("cam", "other")
    workers, (server,) = running.workers(), running.fork_servers()
    running.crash()
    before = running.recorded_bytes("cam")
    running.wait("recording without a manager", lambda: running.recorded_bytes("cam") > before)
    running.start().wait_healthy("cam", "other")
    assert running.workers() == workers
    assert running.fork_servers() == [server]
    now = running.stream("cam")
    assert (now["epoch"], now["restarts_total"], now["outage_s_total"]) == (1, 0, 0.0)
    assert {it["rule"] for it in running.journal("cam")} >= {"adopted"}
    assert any("outlived an earlier manager" in it for it in running.explain("cam")["sentences"])
    running.wait_media("cam", 2.5)
    # How it ends is known too, though another manager had it forked.
    os.kill(running.stream("other")["pid"], signal.SIGSEGV)
    running.wait_for("other", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    assert running.stream("other")["last_fault"]["code"] == "SIGSEGV"
    assert running.stop() == 0
    assert not missing_frames(running, "cam")
