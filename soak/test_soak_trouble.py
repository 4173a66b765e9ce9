"""Whatever is broken, and in whatever order: all of it heals, and the sums are right at the end."""

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

CAMERAS = ("front", "yard", "door")
HEALED_WITHIN_S = 60.0

logger = logging.getLogger(__name__)


def test_random_trouble_heals(tmp_path_factory: pytest.TempPathFactory, soak_s: float) -> None:
    """Workers killed and stopped, cameras frozen and rebooted: one worker each, files that play."""
    seed = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
    draw = random.Random(seed)
    with ExitStack() as stack:
        cameras = {id_: stack.enter_context(Camera("cam")) for id_ in CAMERAS}
        service = Service(
            tmp_path_factory.mktemp("svc"),
            *(table(id_, camera.url("cam")) for id_, camera in cameras.items()),
            table("bystander", "test:"),
        )
        stack.callback(service.close)
        service.start().wait_healthy(*CAMERAS, "bystander")
        end_s = time.monotonic() + soak_s
        troubles = (kill, stop, reboot, freeze)
        count = 0
        while time.monotonic() < end_s:
            id_, trouble = draw.choice(CAMERAS), draw.choice(troubles)
            logger.warning("seed %d: %s %s", seed, trouble.__name__, id_)
            fault_before = service.stream(id_)["last_fault"]
            undo = trouble(service, id_, cameras[id_], draw)
            wait_noticed(service, id_, fault_before)
            undo()
            count += 1
            if draw.random() < 0.7:  # else the next trouble comes before this one is over
                service.wait_healthy(id_, within_s=HEALED_WITHIN_S)
        service.wait_healthy(*CAMERAS, within_s=HEALED_WITHIN_S)
        check(service)
        assert count > 0


def wait_noticed(service: Service, id_: str, before: Json | None) -> None:
    """Wait until a stream has met another fault than the one before."""
    service.wait_for(id_, lambda it: it["last_fault"] != before)


def check(service: Service) -> None:
    """Check what holds after any campaign."""
    assert sorted(service.workers().values()) == sorted([*CAMERAS, "bystander"])
    bystander = service.stream("bystander")
    assert (bystander["restarts_total"], bystander["last_fault"]) == (0, None)
    for id_ in CAMERAS:
        stream = service.wait_for(id_, lambda it: it["attempt"] == 0)
        assert stream["mttr_s"] is None or stream["mttr_s"] <= HEALED_WITHIN_S
        assert 0 < stream["availability"] <= 1
    assert service.stop() == 0
    for id_ in (*CAMERAS, "bystander"):
        for path in service.files(id_):
            times_s = frame_times_s(path)
            assert times_s == sorted(set(times_s)), path


Undo = Callable[[], object]


def kill(service: Service, id_: str, _camera: Camera, draw: random.Random) -> Undo:
    """End the worker."""
    return send(service, id_, draw.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)))


def stop(service: Service, id_: str, _camera: Camera, _draw: random.Random) -> Undo:
    """Let the worker hang."""
    return send(service, id_, signal.SIGSTOP)


def send(service: Service, id_: str, number: signal.Signals) -> Undo:
    """Send the worker a signal, as soon as there is one."""
    pid = service.wait_for(id_, lambda it: it["pid"] is not None)["pid"]
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    return lambda: None


def reboot(_service: Service, _id: str, camera: Camera, draw: random.Random) -> Undo:
    """Take the camera away for some seconds."""
    camera.reboot(after_s=draw.uniform(0.1, 5.0))
    return camera.wait_until_ready


def freeze(_service: Service, _id: str, camera: Camera, _draw: random.Random) -> Undo:
    """Let the camera hang until somebody has noticed."""
    camera.freeze()
    return camera.thaw
