"""A stream that crashes without end costs its neighbours nothing: no frame, no restart."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

pytestmark = pytest.mark.media

FRAME_S = 0.04
CRASHES = 20
EAGER = """\
backoff = { base = "10ms", cap = "100ms" }
budget = { restarts = 1000, within = "1h" }
verify_for = "200ms"
"""


def is_later(epoch: int, stream: Json) -> bool:
    """Tell whether a stream's worker came after the one of `epoch`."""
    return bool(stream["epoch"] > epoch)


def test_a_stream_that_crashes_continuously_costs_another_no_frame(
    service: Callable[..., Service],
) -> None:
    """Beside a worker that dies of SIGSEGV over and over, every frame of the others is on disk."""
    running = service(
        table("neighbour", "test:"),
        table(
            "failing",
            "videotestsrc is-live=true ! video/x-raw,width=160,height=120"
            " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10"
            " ! h264parse ! identity error-after=20",
        ),
        table("crashing", "test:"),
        recovery=EAGER,
    ).start()
    running.wait_healthy("neighbour", "crashing")
    for _ in range(CRASHES):
        before = running.wait_for("crashing", lambda it: it["pid"] is not None)
        with suppress(ProcessLookupError):
            os.kill(before["pid"], signal.SIGSEGV)
        running.wait_for("crashing", partial(is_later, before["epoch"]))
    neighbour, crashing = running.stream("neighbour"), running.stream("crashing")
    assert crashing["last_fault"]["code"] == "SIGSEGV"
    assert crashing["restarts_total"] >= CRASHES
    told = [it for it in running.journal("crashing") if it["component"] == "crashing"]
    assert [it["code"] for it in told if it["cause"] == "crash"] == ["SIGSEGV"] * CRASHES
    assert {it["cause"] for it in running.journal("neighbour")} == {None}
    assert running.stream("failing")["restarts_total"] >= 3
    assert neighbour["restarts_total"] == 0
    assert neighbour["last_fault"] is None
    assert neighbour["availability"] == 1.0
    assert running.stop() == 0
    times_s = [at_s for path in running.files("neighbour") for at_s in frame_times_s(path)]
    assert len(times_s) >= neighbour["media"]["frames"]
    gaps_s = [after - before for before, after in pairwise(times_s)]
    assert max(gaps_s) < 1.5 * FRAME_S
    assert min(gaps_s) > 0.5 * FRAME_S


def test_error_isolation_of_a_worker_that_is_killed_during_its_start(
    service: Callable[..., Service],
) -> None:
    """The journal says when it was, its successor starts in its place, and a neighbour goes on."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a camera that answers nothing
        port = silent.getsockname()[1]
        running = service(
            table("neighbour", "test:"), table("cam", f"rtsp://127.0.0.1:{port}/cam")
        ).start()
        running.wait_healthy("neighbour")
        first = running.wait_for("cam", lambda it: it["pid"] and it["state"] == "starting")
        os.kill(first["pid"], signal.SIGKILL)
        second = running.wait_for("cam", lambda it: it["pid"] not in {None, first["pid"]})
        assert second["state"] == "starting"
    (killed,) = running.wait(
        "the kill in the journal",
        lambda: [it for it in running.journal("cam") if it["code"] == "SIGKILL"],
    )
    assert (killed["component"], killed["cause"]) == ("cam", "crash")
    assert "ended by SIGKILL" in killed["saw"]["text"]
    assert running.stream("neighbour")["restarts_total"] == 0


def test_error_isolation_of_an_output(service: Callable[..., Service]) -> None:
    """A recorder that can't write leaves its source, its worker and the neighbours alone."""
    blocked = service(table("blocked", "test:"), table("neighbour", "test:"))
    blocked.recordings.mkdir()
    (blocked.recordings / "blocked").write_text("where a folder should be")
    blocked.start().wait_healthy("neighbour")
    found = blocked.wait_for(
        "blocked", lambda it: it["health"] == "degraded" and it["outputs"][0]["attempt"] >= 3
    )
    assert found["state"] == "running"
    assert found["outputs"][0]["last_fault"]["code"] == "ENOTDIR"
    assert found["epoch"] == 1
    assert found["restarts_total"] == 0
    (blocked.recordings / "blocked").unlink()
    blocked.wait_healthy("blocked")
    blocked.wait_recorded("blocked")
    assert blocked.stream("neighbour")["restarts_total"] == 0
