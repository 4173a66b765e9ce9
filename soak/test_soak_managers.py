"""The manager is killed thirty times, and no camera's recording lacks a picture."""

import random
from contextlib import ExitStack, closing

import pytest
from tests.integration.service import (
    ENDS_SOON,
    Service,
    gaps_of,
    kill_at_a_moment,
    pictures_lost,
    table,
)

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

KILLS = 30
CAMERAS = ("one", "two", "three")


@pytest.mark.parametrize("seed", [1])
def test_thirty_kills_cost_no_picture(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """At any moment, of start, adoption, decision and rebuild: the same three runs to the end."""
    with ExitStack() as stack:
        camera = stack.enter_context(Camera(*CAMERAS))
        streams = [table(id_, camera.url(id_)) for id_ in CAMERAS]
        made = Service(tmp_path_factory.mktemp("svc"), *streams, table("flaps", ENDS_SOON))
        service = stack.enter_context(closing(made))
        service.start().wait_healthy(*CAMERAS)
        pids = {id_: service.stream(id_)["pid"] for id_ in CAMERAS}
        draw = random.Random(seed)
        for _ in range(KILLS):
            kill_at_a_moment(service, draw)
        service.start().wait_healthy(*CAMERAS)
        for id_ in CAMERAS:
            now = service.stream(id_)
            assert (now["pid"], now["epoch"], now["outage_s_total"]) == (pids[id_], 1, 0.0)
        assert len(service.fork_servers()) == 1
        assert service.stop() == 0
        service.wait("every process to end", lambda: not service.pids())
        assert [it.name for it in service.runtime_dir.iterdir()] == ["lock"]
        for id_ in CAMERAS:
            assert pictures_lost(service, id_) == []
            # A busy machine lets a camera pause: no picture is missing then, but time is.
            assert {cause for cause, _ in gaps_of(service, id_)} <= {"stall", "stopped"}
