"""A host that takes its cameras down is one incident, and costs nobody else a frame."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

FRAME_S = 0.04
HOST = "host:127.0.0.2"
IDS = tuple(f"cam{number}" for number in range(1, 7))
# Far below the incident's own pace: only parking keeps a stream from trying all the time.
EAGER = """\
backoff = { base = "10ms", cap = "100ms" }
verify_for = "200ms"
stable_for = "1h"
"""


@pytest.fixture
def recorder() -> Iterator[Camera]:
    """Give one host with six cameras, which go and come back together."""
    with Camera(*IDS, bind="127.0.0.2") as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Camera]:
    """Give a camera of another host."""
    with Camera("cam", bind="127.0.0.3") as running:
        yield running


def incident(status: Json) -> Json:
    """Return the host's incident as the status has it, or nothing."""
    return next((it for it in status["domains"] if it["domain"] == HOST), {})


def between_probes(running: Service) -> Json:
    """Return the status if an incident of the host is under way and all wait: nobody tries."""
    status = running.status()
    found = incident(status)
    # A probe is over with its failure; what it had is torn down a little later.
    waiting = all(it["state"] == "parked" for it in members(status))
    return status if found and found["probe"] is None and waiting else {}


def members(status: Json) -> list[Json]:
    """Return the host's streams as the status has them."""
    return [it for it in status["streams"] if it["id"] in IDS]


def probes(running: Service) -> int:
    """Return how many probes the host's incidents have sent out."""
    return [it["rule"] for it in steps(running)].count("incident-probe")


def steps(running: Service) -> list[Json]:
    """Return the steps of the host's incidents, oldest first."""
    return [it for it in running.journal() if it["component"] == HOST]


def most_at_once(entries: list[Json]) -> int:
    """Return how many sources of the host were trying at once, at the most."""
    trying: set[str] = set()
    most = 0
    for it in entries:
        id_, _, part = it["component"].partition("/")
        if id_ in IDS and part == "source":
            (trying.add if it["after"] in {"starting", "verifying"} else trying.discard)(id_)
            most = max(most, len(trying))
    return most


def test_a_host_that_dies_with_all_its_cameras_is_one_incident(
    service: Callable[..., Service], recorder: Camera, elsewhere: Camera
) -> None:
    """Its streams wait uncharged while one at a time tries; a stream of another host goes on."""
    running = service(
        *(table(id_, recorder.url(id_)) for id_ in IDS),
        table("elsewhere", elsewhere.url("cam")),
        recovery=EAGER,
    ).start()
    running.wait_healthy(*IDS, "elsewhere")
    assert steps(running) == []

    recorder.die()
    running.wait("three probes", lambda: probes(running) >= 3)
    status = running.wait("all to wait", lambda: between_probes(running))
    found = incident(status)
    assert (found["state"], found["cause"]) == ("open", "network")
    assert (found["members"], found["waiting"]) == (6, 6)
    parked = [(it["state"], it["waits_for"], it["attempt"]) for it in members(status)]
    assert parked == [("parked", HOST, 0)] * 6
    assert HOST in " ".join(running.explain(IDS[0])["sentences"])

    recorder.start()
    running.wait_healthy(*IDS)
    running.wait("the incident's end", lambda: not incident(running.status()))
    for id_ in IDS:
        healed = running.stream(id_)
        assert (healed["attempt"], healed["epoch"], healed["state"]) == (0, 1, "running")

    journal = running.journal()
    assert journal[0]["seq"] == 1  # it is all here
    told = running.journal(HOST)
    rules = [it["rule"] for it in told]
    assert rules[:2] == ["incident-opened", "incident-confirmed"]
    assert rules[-3:] == ["incident-proved", "incident-ramp", "incident-resolved"]
    assert set(rules[2:-3]) == {"incident-probe", "incident-probe-over"}
    at = {it["rule"]: journal.index(it) for it in told}
    assert most_at_once(journal[at["incident-confirmed"] : at["incident-proved"]]) == 1
    (ramp,) = [it for it in told if it["rule"] == "incident-ramp"]
    assert ramp["saw"]["now"] == 5
    let_go = [it for it in journal if it["rule"] == "admitted" and it["because"] == ramp["seq"]]
    assert len({it["component"] for it in let_go}) == 5

    other = running.stream("elsewhere")
    assert (other["restarts_total"], other["last_fault"]) == (0, None)
    assert other["availability"] == 1.0
    assert running.stop() == 0
    times_s = [at_s for path in running.files("elsewhere") for at_s in frame_times_s(path)]
    assert len(times_s) >= other["media"]["frames"]
    gaps_s = [after - before for before, after in pairwise(times_s)]
    assert max(gaps_s) < 1.5 * FRAME_S
    assert min(gaps_s) > 0.5 * FRAME_S
