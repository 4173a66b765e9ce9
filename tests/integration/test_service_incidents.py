"""What takes many streams down is one incident, and costs nobody else a frame."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media

FRAME_S = 0.04
HOST = "host:127.0.0.2"
IDS = tuple(f"cam{number}" for number in range(1, 11))
# Far below the incident's own pace: only parking keeps a stream from trying all the time.
EAGER = """\
backoff = { base = "10ms", cap = "100ms" }
verify_for = "200ms"
stable_for = "1h"
"""


@pytest.fixture
def recorder() -> Iterator[Camera]:
    """Give one host with ten cameras, which go and come back together."""
    with Camera(*IDS, bind="127.0.0.2") as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Camera]:
    """Give a camera of another host."""
    with Camera("cam", bind="127.0.0.3") as running:
        yield running


def unrecorded(id_: str, source: str) -> str:
    """Return the TOML of a stream that is only watched."""
    return f'[[streams]]\nid = "{id_}"\nsource = "{source}"'


def incident(status: Json, domain: str = HOST) -> Json:
    """Return a domain's incident as the status has it, or nothing."""
    return next((it for it in status["domains"] if it["domain"] == domain), {})


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
        *(unrecorded(id_, recorder.url(id_)) for id_ in IDS),
        table("elsewhere", elsewhere.url("cam")),
        recovery=EAGER,
    ).start()
    running.wait_healthy(*IDS, "elsewhere")
    assert steps(running) == []

    recorder.die()
    running.wait("two probes", lambda: probes(running) >= 2)
    status = running.wait("all to wait", lambda: between_probes(running))
    found = incident(status)
    assert (found["state"], found["cause"]) == ("open", "network")
    assert (found["members"], found["waiting"]) == (10, 10)
    parked = [(it["state"], it["waits_for"], it["attempt"]) for it in members(status)]
    assert parked == [("parked", HOST, 0)] * 10
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
    assert ramp["saw"]["now"] == 9
    let_go = [it for it in journal if it["rule"] == "admitted" and it["because"] == ramp["seq"]]
    assert len({it["component"] for it in let_go}) == 9

    other = running.stream("elsewhere")
    assert (other["restarts_total"], other["last_fault"]) == (0, None)
    assert other["availability"] == 1.0
    assert running.stop() == 0
    times_s = [at_s for path in running.files("elsewhere") for at_s in frame_times_s(path)]
    assert len(times_s) >= other["media"]["frames"]
    gaps_s = [after - before for before, after in pairwise(times_s)]
    assert max(gaps_s) < 1.5 * FRAME_S
    assert min(gaps_s) > 0.5 * FRAME_S


VOLUME = "volume:main"
RECORDED = ("door", "yard", "gate")


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """Mount a disk of 24 MiB, or skip the test where only root may."""
    path.mkdir()
    options = ("-t", "tmpfs", "-o", "size=24m", "tmpfs", path)
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a full disk needs a mount of its own: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(path: Path) -> Path:
    """Leave not a byte on the disk at `path`; return the file that took them all."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:  # it is full
                continue
    return filler


def parked(status: Json) -> list[str]:
    """Return the streams whose recording waits for the volume, charged nothing."""
    waiting = [it for it in status["streams"] if it["outputs"][0]["state"] == "parked"]
    assert {it["outputs"][0]["waits_for"] for it in waiting} <= {VOLUME}
    assert {it["outputs"][0]["attempt"] for it in waiting} <= {0}
    return [it["id"] for it in waiting]


def test_a_disk_that_is_full_is_one_incident_of_its_volume(
    service: Callable[..., Service],
) -> None:
    """All recordings wait while one at a time tries, and go on with the space; no source stops."""
    running = service(*(table(id_, "test:") for id_ in RECORDED), recovery=EAGER)
    with small_disk(running.recordings):
        running.start().wait_healthy(*RECORDED)
        filler = fill(running.recordings)
        running.wait("all recordings to wait", lambda: len(parked(running.status())) == 3)
        running.wait(
            "a probe",
            lambda: "incident-probe-over" in {it["rule"] for it in running.journal(VOLUME)},
        )
        found = incident(running.status(), VOLUME)
        assert (found["state"], found["cause"], found["members"]) == ("open", "storage", 3)

        filler.unlink()
        running.wait_healthy(*RECORDED)
        running.wait("its end", lambda: not incident(running.status(), VOLUME))
        told = [it["rule"] for it in running.journal(VOLUME)]
        assert told[:2] == ["incident-opened", "incident-confirmed"]
        assert told[-3:] == ["incident-proved", "incident-ramp", "incident-resolved"]
        for id_ in RECORDED:
            assert running.stream(id_)["restarts_total"] == 0
            running.wait_recorded(id_)
        assert running.stop() == 0
