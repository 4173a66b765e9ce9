"""The manager under its own care: a broken API, and a manager that was stuck, cost no stream."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

import pytest
from tests.integration.service import Json, Service, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

DEADLINE_S = 3.0

# The program with a bug in its API: the server's own loop breaks whenever the file "bug" appears.
WITH_A_BUG = """
import runpy, sys
from pathlib import Path
import uvicorn

sound = uvicorn.Server.on_tick

async def on_tick(server, counter):
    bug = Path("bug")
    if bug.exists():
        bug.unlink()
        raise ZeroDivisionError("a bug in the API")
    return await sound(server, counter)

uvicorn.Server.on_tick = on_tick
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def api(running: Service) -> Json:
    """Return what the status says of the API's own task."""
    (task,) = (it for it in running.status()["manager"]["tasks"] if it["id"] == "api")
    assert isinstance(task, dict)
    return task


def has_restarted(running: Service, times: int) -> bool:
    """Tell whether the API has been started again so often."""
    return bool(api(running)["restarts_total"] == times)


def test_an_api_that_crashes_is_restarted_and_stops_no_recovery(
    service: Callable[..., Service],
) -> None:
    """Its bug is journalled, told with its traceback, and shown; streams heal meanwhile."""
    running = service(table("cam", "test:")).start(sys.executable, "-c", WITH_A_BUG)
    running.wait_healthy("cam")
    assert api(running)["restarts_total"] == 0
    bug = running.folder / "bug"
    worker = running.stream("cam")["pid"]
    for crash in (1, 2):
        bug.touch()
        running.wait("the bug", lambda: not bug.exists())
        if crash == 1:
            os.kill(worker, signal.SIGKILL)
        running.wait("the API to be restarted", partial(has_restarted, running, crash))
    running.wait_for("cam", lambda it: it["restarts_total"] == 1 and it["health"] == "healthy")
    running.wait("it to run", lambda: api(running)["state"] == "running")
    shown = api(running)
    assert (shown["attempt"], shown["last_fault"]["code"]) == (2, "ZeroDivisionError")
    crashes = [it for it in running.journal("manager:api") if it["code"] == "ZeroDivisionError"]
    assert [it["attempt"] for it in crashes] == [1, 2]
    assert crashes[0]["saw"]["text"] == "a bug in the API"
    assert crashes[1]["saw"]["delay_s"] >= crashes[0]["saw"]["delay_s"] >= 0.25
    told = running.logged(task="manager:api", level="error")
    assert len(told) == 2
    assert "on_tick" in str(told[0])


def test_a_manager_that_was_stuck_blames_nobody_for_it(
    service: Callable[..., Service], camera: Camera
) -> None:
    """Stopped for longer than a start may take, it gives that start as much more time."""
    deadline = f'"{DEADLINE_S:g}s"'
    running = service(
        table("steady", "test:"), table("starting", camera.url("cam"), start_deadline=deadline)
    ).start()
    running.wait_healthy("steady", "starting")
    camera.freeze()
    before = running.journal()[-1]["seq"]
    pid = running.stream("starting")["pid"]
    running.command("starting", "restart")
    running.wait_for(
        "starting", lambda it: it["pid"] not in {None, pid} and it["state"] == "starting"
    )
    running.signal(signal.SIGSTOP)
    camera.thaw()
    time.sleep(DEADLINE_S)  # this is the fault itself
    running.signal(signal.SIGCONT)
    running.wait_healthy("steady", "starting")
    assert running.status()["manager"]["loop"]["lag_worst_s"] > DEADLINE_S / 2
    since = [it for it in running.journal() if it["seq"] > before]
    late = [it for it in since if it["rule"] == "manager-was-late"]
    assert "starting/source" in {it["component"] for it in late}
    assert all(it["saw"]["late_s"] > DEADLINE_S / 2 for it in late)
    assert [it["message"] for it in since if it["cause"]] == []
