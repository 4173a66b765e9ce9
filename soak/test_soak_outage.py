"""A host with ten cameras, three streams each, goes away and comes back: no start out of turn."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

HOST = "host:127.0.0.2"
MOUNTS = ("main", "sub", "third")
CAMERAS = 10
IDS = tuple(f"cam{number}-{mount}" for number in range(CAMERAS) for mount in MOUNTS)
WITHIN_S = 120.0
# Far below the incident's own pace: only parking keeps a stream from trying all the time.
EAGER = """\
backoff = { base = "10ms", cap = "100ms" }
budget = { restarts = 100, within = "60s" }
verify_for = "200ms"
stable_for = "1h"
"""


@pytest.fixture
def cameras() -> Iterator[list[Camera]]:
    """Give ten cameras of one host, each a process of its own."""
    with ExitStack() as stack:
        made = [Camera(*MOUNTS, bind="127.0.0.2") for _ in range(CAMERAS)]
        yield [stack.enter_context(it) for it in made]


def die(cameras: list[Camera]) -> None:
    """End all of them as a cut of the power does."""
    for it in cameras:
        it.die()


def boot(cameras: list[Camera]) -> None:
    """Start all of them again; each is there when it is."""
    with ThreadPoolExecutor(CAMERAS) as pool:
        list(pool.map(Camera.start, cameras))


def freeze(cameras: list[Camera]) -> None:
    """Stop all of them in the middle of what they do."""
    for it in cameras:
        it.freeze()


def thaw(cameras: list[Camera]) -> None:
    """Let all of them go on in the same instant."""
    for it in cameras:
        it.thaw()


def starts_out_of_turn(entries: list[Json]) -> list[Json]:
    """Return the starts of sources while the host was down that were no probe, of one at a time."""
    closed, probe, wrong = False, None, []
    for it in entries:
        id_, _, part = it["component"].partition("/")
        if it["component"] == HOST:
            closed = it["after"] in {"suspected", "open"}
            probe = it["saw"]["probe"] if it["rule"] == "incident-probe" else None
        elif closed and part == "source" and (it["before"], it["after"]) == ("parked", "starting"):
            wrong += [it] if id_ in IDS and it["component"] != probe else []
    return wrong


def whole(running: Service) -> list[Json]:
    """Return the journal from its first entry."""
    entries: list[Json] = []
    while True:
        after = entries[-1]["seq"] if entries else 0
        page = running._http.get("/journal", params={"limit": "1000", "after": str(after)}).json()
        if not page:
            return entries
        entries += page


@pytest.mark.parametrize(("goes", "comes"), [(die, boot), (freeze, thaw)])
def test_thirty_streams_of_one_host_come_back_in_good_order(
    goes: Callable[[list[Camera]], None],
    comes: Callable[[list[Camera]], None],
    cameras: list[Camera],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One at a time tries while it is down, and a stream of another host loses no frame.

    Those that freeze come back together, along two steps of the ramp.
    """
    with Camera("cam", bind="127.0.0.3") as elsewhere, ExitStack() as stack:
        urls = [camera.url(mount) for camera in cameras for mount in MOUNTS]
        service = Service(
            tmp_path_factory.mktemp("svc"),
            *(
                f'[[streams]]\nid = "{id_}"\nsource = "{url}"'
                for id_, url in zip(IDS, urls, strict=True)
            ),
            table("elsewhere", elsewhere.url("cam")),
            recovery=EAGER,
        )
        stack.callback(service.close)
        service.start().wait_healthy(*IDS, "elsewhere", within_s=WITHIN_S)

        goes(cameras)
        service.wait("three probes", lambda: probes(service) >= 3, WITHIN_S)
        comes(cameras)
        service.wait_healthy(*IDS, within_s=WITHIN_S)
        service.wait("the end", lambda: not service.status()["domains"], WITHIN_S)

        entries = whole(service)
        assert starts_out_of_turn(entries) == []
        told = [it for it in entries if it["component"] == HOST]
        assert told[0]["rule"] == "incident-opened"
        assert told[-1]["rule"] == "incident-resolved"
        proved = max(told.index(it) for it in told if it["rule"] == "incident-proved")
        let_go = [it["saw"]["now"] for it in told[proved:] if it["rule"] == "incident-ramp"]
        if goes is freeze:
            assert let_go == [20, 9]
        other = service.stream("elsewhere")
        assert (other["restarts_total"], other["last_fault"], other["availability"]) == (0, None, 1)

        service.command("elsewhere", "stop")
        service.wait_for("elsewhere", lambda it: it["state"] == "stopped")
        times_s = [at_s for path in service.files("elsewhere") for at_s in frame_times_s(path)]
        assert len(times_s) >= other["media"]["frames"]  # all that came was recorded

        killed_all_come_back_at_once(service)
        assert service.stop() == 0


def probes(service: Service) -> int:
    """Return how many probes the host's incident has sent out."""
    told = [it["rule"] for it in service.journal() if it["component"] == HOST]
    return told.count("incident-probe")


def killed_all_come_back_at_once(service: Service) -> None:
    """Kill every worker at once: the machine is not blamed, and nobody waits."""
    before = {it["id"]: it["epoch"] for it in service.status()["streams"] if it["id"] in IDS}
    for pid in service.workers():
        os.kill(pid, signal.SIGKILL)
    service.wait(
        "another process of each",
        lambda: all(service.stream(id_)["epoch"] > epoch for id_, epoch in before.items()),
    )
    service.wait_healthy(*before, within_s=WITHIN_S)
    assert all(it["component"] != "node" for it in whole(service))
