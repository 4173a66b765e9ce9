"""A watchdog must not cause the outage: a stuttering camera is left alone."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.integration.service import Service, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

STUTTER_MS = 300


@pytest.fixture
def camera() -> Iterator[Camera]:
    """Give a camera that holds its pictures back now and then."""
    with Camera("cam", faults=[f"stutter gap={STUTTER_MS}ms"]) as running:
        yield running


def test_stutter_is_no_stall(
    tmp_path_factory: pytest.TempPathFactory, camera: Camera, soak_s: float
) -> None:
    """Gaps of up to 300 ms for all that time: one epoch, no fault, every frame counted."""
    service = Service(
        tmp_path_factory.mktemp("svc"),
        table("cam", camera.url("cam")),
        recovery="",
    )
    with closing(service):
        service.start().wait_healthy("cam")
        began = service.stream("cam")
        frames = began["media"]["frames"] + int(25 * soak_s)
        ended = service.wait_for(
            "cam",
            lambda it: it["media"]["frames"] >= frames or it["last_fault"] is not None,
            within_s=1.1 * soak_s + 30,
        )
        assert ended["last_fault"] is None
        assert ended["restarts_total"] == 0
        assert ended["availability"] == 1.0
        assert ended["uptime_s"] > began["uptime_s"]
