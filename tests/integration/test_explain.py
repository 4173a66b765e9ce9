"""`explain` of a real stream whose camera goes and comes back."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.service import Json, Service, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

COMMAND = Path(sys.executable).parent / "stream-manager"


def explained(service: Service, id_: str) -> Json:
    """Return what the command says, as values."""
    told = subprocess.run(
        [COMMAND, "explain", id_, "--json", "--config", service.config],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer: Json = json.loads(told.stdout)
    return answer


def test_a_camera_that_is_down_is_explained_from_the_journal(
    camera: Camera, service: Callable[..., Service]
) -> None:
    """What was tried is read from the store, and the stop of an operator from what he asked for."""
    svc = service(table("cam", camera.url("cam"))).start()
    svc.wait_healthy("cam")
    assert explained(svc, "cam")["tried"] == []
    camera.die()
    svc.wait_for("cam", lambda it: it["attempt"] >= 3)
    down = explained(svc, "cam")
    assert down["health"] == "unhealthy"
    assert len(down["tried"]) >= 3
    assert {it["cause"] for it in down["tried"]} == {"network"}
    assert any(it.startswith("What happened since ") for it in down["sentences"])
    assert any(it.startswith("What you can do: ") for it in down["sentences"])
    svc.command("cam", "stop")
    svc.wait_for("cam", lambda it: it["state"] == "stopped")
    (sentence,) = explained(svc, "cam")["sentences"]
    assert sentence.startswith("cam is stopped: an operator stopped it at ")
