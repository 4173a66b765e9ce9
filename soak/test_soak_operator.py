"""Ten cameras, and everything is ended in turn, as an operator would who does not believe it."""

import os
import signal
from contextlib import ExitStack, closing

import pytest
from tests.integration.service import Service, gaps_of, pictures_lost, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

KILLED = tuple(f"killed-{number}" for number in range(5))
SPARED = tuple(f"spared-{number}" for number in range(5))
CAMERAS = (*KILLED, *SPARED)


def test_whatever_is_ended_costs_its_own_pictures_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Workers, fork server and manager by SIGKILL, then an upgrade: five cameras lack nothing.

    The other five lack at most what their killed workers would have recorded, with its cause.
    """
    with ExitStack() as stack:
        camera = stack.enter_context(Camera(*CAMERAS))
        streams = [table(id_, camera.url(id_)) for id_ in CAMERAS]
        service = stack.enter_context(
            closing(Service(tmp_path_factory.mktemp("svc"), *streams, recovery=""))
        )
        service.start().wait_healthy(*CAMERAS)
        pids = {id_: service.stream(id_)["pid"] for id_ in SPARED}
        for id_ in KILLED:
            os.kill(service.stream(id_)["pid"], signal.SIGKILL)
            service.wait_for(id_, lambda now: now["epoch"] == 2 and now["health"] == "healthy")
        [server] = service.fork_servers()
        os.kill(server, signal.SIGKILL)
        os.kill(service.stream(KILLED[0])["pid"], signal.SIGKILL)  # so a new server is needed
        service.wait_for(KILLED[0], lambda now: now["epoch"] == 3 and now["health"] == "healthy")
        for _ in range(3):
            service.crash()
            service.start().wait_healthy(*CAMERAS)
        assert service.leave() == 0
        service.start().wait_healthy(*CAMERAS)
        assert {id_: service.stream(id_)["pid"] for id_ in SPARED} == pids
        assert {service.stream(id_)["outage_s_total"] for id_ in SPARED} == {0.0}
        assert service.stop() == 0
        service.wait("every process to end", lambda: not service.pids())
        for id_ in SPARED:
            assert pictures_lost(service, id_) == []
        # The fork server of the last kill had just been killed, so nobody saw how that one ended.
        # A worker may be back so soon that nothing is missing.
        explained = {("stopped", "manager"), ("crash", "SIGKILL"), ("crash", "exit:unknown")}
        for id_ in KILLED:
            assert set(gaps_of(service, id_)) <= explained
