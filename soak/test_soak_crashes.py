"""Five of twenty cameras' workers crash for a minute, and the other fifteen lose no picture."""

import os
import signal
import time
from contextlib import ExitStack, closing, suppress

import pytest
from tests.integration.service import Service, gaps_of, pictures_lost, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

CRASHING = tuple(f"crashing-{number}" for number in range(5))
OTHERS = tuple(f"other-{number:02}" for number in range(15))
CRASH_FOR_S = 60.0
PAUSE_S = 0.1
EAGER = """\
backoff = { base = "10ms", cap = "100ms" }
budget = { restarts = 1000, within = "1h" }
verify_for = "200ms"
"""


def test_five_of_twenty_that_crash_cost_the_others_no_picture(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each crash is told as what it was, and what is recorded of the others is complete."""
    with ExitStack() as stack:
        camera = stack.enter_context(Camera(*CRASHING, *OTHERS))
        streams = [table(id_, camera.url(id_)) for id_ in (*CRASHING, *OTHERS)]
        made = Service(tmp_path_factory.mktemp("svc"), *streams, recovery=EAGER)
        service = stack.enter_context(closing(made))
        service.start().wait_healthy(*CRASHING, *OTHERS)
        before = {id_: service.stream(id_) for id_ in OTHERS}
        crashes = crash(service)
        service.wait_healthy(*CRASHING)
        for id_ in CRASHING:
            explained(service, id_, crashes[id_])
        for id_, was in before.items():
            now = service.stream(id_)
            assert (now["pid"], now["restarts_total"], now["last_fault"]) == (was["pid"], 0, None)
            assert now["availability"] == 1.0
            assert {it["cause"] for it in service.journal(id_)} == {None}
        assert service.stop() == 0
        for id_ in OTHERS:
            assert pictures_lost(service, id_) == []
            assert {cause for cause, _ in gaps_of(service, id_)} <= {"stopped"}


def crash(service: Service) -> dict[str, int]:
    """Crash every worker of theirs that is seen, young or old; return how often, by stream."""
    crashed: dict[str, set[int]] = {id_: set() for id_ in CRASHING}
    end_s = time.monotonic() + CRASH_FOR_S
    while time.monotonic() < end_s:
        for pid, id_ in service.workers().items():
            if pid not in crashed.get(id_, {pid}):
                crashed[id_].add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSEGV)
        time.sleep(PAUSE_S)
    return {id_: len(pids) for id_, pids in crashed.items()}


def explained(service: Service, id_: str, crashes: int) -> None:
    """Find each crash of a stream in the journal, and what it was called."""
    stream = service.stream(id_)
    assert crashes >= CRASH_FOR_S
    assert stream["restarts_total"] >= crashes
    assert stream["last_fault"]["code"] == "SIGSEGV"
    told = [it for it in service.journal(id_) if it["component"] == id_ and it["cause"]]
    assert {(it["cause"], it["code"]) for it in told} == {("crash", "SIGSEGV")}
    assert {it["rule"] for it in told} <= {"crash-once", "crash"}
