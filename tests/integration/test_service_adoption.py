"""Workers outlive the manager: killed or leaving, it costs no stream a frame."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from tests.integration.played_worker import played
from tests.integration.service import (
    ENDS_SOON,
    GONE_WITHIN_S,
    Service,
    frame_times_s,
    gaps_of,
    kill_at_a_moment,
    pictures_lost,
    table,
)

from stream_manager.lab.camera import Camera
from stream_manager.pipelines.messages import MAX_PACKET_BYTES, VERSION
from stream_manager.streams.meeting import socket_path

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]


def instance_of(service: Service) -> str:
    """Return the name by which a state's workers are known."""
    with closing(sqlite3.connect(service.state_dir / "manager.db", timeout=5)) as database:
        query = "SELECT value FROM meta WHERE key = 'instance'"
        (name,) = database.execute(query).fetchone()
    return str(name)


def test_a_killed_manager_costs_no_frame(service: MakeService, camera: Camera) -> None:
    """The next one adopts every worker as the run that it is; what died meanwhile is rebuilt."""
    running = service(
        table("cam", camera.url("cam")), table("other", "test:"), table("dead", "test:")
    ).start()
    running.wait_healthy("cam", "other", "dead")
    workers, (server,) = running.workers(), running.fork_servers()
    dead = running.stream("dead")["pid"]
    running.crash()
    os.kill(dead, signal.SIGKILL)
    files = len(running.files("cam"))
    running.wait("a file without a manager", lambda: len(running.files("cam")) > files + 1)
    running.start().wait_healthy("cam", "other", "dead")
    assert running.workers().items() >= {it for it in workers.items() if it[0] != dead}
    assert running.fork_servers() == [server]
    now = running.stream("cam")
    assert (now["epoch"], now["restarts_total"], now["outage_s_total"]) == (1, 0, 0.0)
    assert "adopted" in {it["rule"] for it in running.journal("cam")}
    assert any("outlived an earlier manager" in it for it in running.explain("cam")["sentences"])
    assert running.stream("dead")["epoch"] == 2
    told = {it["component"]: it for it in running.journal("dead") if it["rule"] == "ran-before"}
    assert told["dead"]["epoch"] == 2
    assert "ran under an earlier manager, and does not any more" in told["dead"]["message"]

    # How it ends is known too, though another manager had it forked.
    os.kill(running.stream("other")["pid"], signal.SIGSEGV)
    running.wait_for("other", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    assert running.stream("other")["last_fault"]["code"] == "SIGSEGV"
    assert running.stop() == 0
    assert not pictures_lost(running, "cam")
    assert {cause for cause, _ in gaps_of(running, "cam")} <= {"stall", "stopped"}
    assert gaps_of(running, "dead")[0] == ("crash", "SIGKILL")
    assert "a worker has ended while no manager ran" in running.log()


def test_a_manager_that_leaves_hands_its_streams_over(service: MakeService) -> None:
    """What suits goes on, what is changed, removed or stopped ends; strangers are left alone."""
    kept, keys = table("kept", "test:"), ("changed", "removed", "stopped")
    running = service(kept, *(table(id_, "test:") for id_ in keys)).start()
    running.wait_healthy("kept", *keys)
    pids = {name: pid for pid, name in running.workers().items()}
    assert running.leave(within_s=5.0) == 0
    assert running.logged(event="the workers go on, for the next manager")
    assert {name: pid for pid, name in running.workers().items()} == pids

    with closing(sqlite3.connect(running.state_dir / "manager.db")) as database, database:
        database.execute("INSERT OR REPLACE INTO desired VALUES ('stopped', 0)")
    longer = '{ volumes = ["main"], segment = "3s" }'
    running.configure(kept, table("changed", "test:", record=longer), table("stopped", "test:"))
    stale = socket_path(running.runtime_dir, "long ago", 3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(stale))
    with ExitStack() as stack:
        foreign = socket_path(running.runtime_dir, "kept", 9)
        said = json.dumps({"instance": "another", "stream": "kept"})
        stranger = stack.enter_context(played(foreign, "hello", said))
        liar_at = socket_path(running.runtime_dir, "liar", 1)
        said = json.dumps({"instance": instance_of(running), "stream": "liar", "pid": 1})
        liar = stack.enter_context(played(liar_at, "hello", said))
        noise_at = socket_path(running.runtime_dir, "noise", 1)
        noise = stack.enter_context(played(noise_at, "noise", "9"))
        flood_at = socket_path(running.runtime_dir, "flood", 1)
        flood = stack.enter_context(played(flood_at, "noise", str(MAX_PACKET_BYTES + 1)))

        running.start().wait_healthy("kept", "changed")
        running.wait("the end of what is ours", lambda: len(running.workers()) == 2)
        assert running.stream("kept")["pid"] == pids["kept"]
        assert running.stream("changed")["epoch"] == 2
        assert running.stream("stopped")["state"] == "stopped"
        ended = {it["stream"]: it["why"] for it in running.logged(event="ending a worker")}
        assert ended == {
            "changed": "its configuration changed",
            "removed": "it stands in no configuration",
            "stopped": "an operator stopped the stream",
        }
        assert not stale.exists()
        assert [it.poll() for it in (stranger, liar, noise, flood)] == [None] * 4
        (told,) = running.logged(
            event="left alone: a worker of another manager's, with another state_dir"
        )
        assert (told["stream"], told["pid"]) == ("kept", stranger.pid)
        alone = {
            it["socket"]: it["why"] for it in running.logged(event="left alone: no worker of ours")
        }
        assert alone.keys() == {str(it) for it in (liar_at, noise_at, flood_at)}
        assert f"it says that it is process 1, and is {liar.pid}" in alone[str(liar_at)]
        assert f"more than {MAX_PACKET_BYTES} bytes" in alone[str(flood_at)]
    assert running.stop() == 0
    assert gaps_of(running, "kept") == [("stopped", "manager")]
    *between, last = gaps_of(running, "changed")
    assert last == ("stopped", "manager")
    assert between in ([], [("stopped", "configuration")])  # less than 50 ms is none
    assert gaps_of(running, "stopped") == [("stopped", "operator")]


def test_workers_of_another_version_are_replaced_one_stream_at_a_time(
    service: MakeService,
) -> None:
    """The second is left recording until the first stream is back."""
    running = service(table("one", "test:"), table("two", "test:")).start()
    running.wait_healthy("one", "two")
    assert running.stop() == 0
    with ExitStack() as stack:
        olds = []
        for id_ in ("one", "two"):
            said = {"instance": instance_of(running), "stream": id_, "version": VERSION + 1}
            path = socket_path(running.runtime_dir, id_, 7)
            olds.append(stack.enter_context(played(path, "hello", json.dumps(said))))
        running.start().wait_healthy("one", "two")
        assert [it.wait(5.0) for it in olds] == [0, 0]
    first, second = (it["stream"] for it in running.logged(event="ending a worker"))
    (ended,) = running.logged(event="ending a worker", stream=second)
    proved = next(it for it in running.journal(first)[::-1] if it["rule"] == "proved")
    assert f"version {VERSION + 1}" in ended["why"]
    assert proved["at"] < ended["at"]


def test_workers_end_when_no_manager_comes_within_their_grace(service: MakeService) -> None:
    """They finish their files and end, and the fork server with the last of them."""
    running = service(table("cam", "test:"))
    text = running.config.read_text()
    running.config.write_text(text.replace("[manager]", '[manager]\norphan_grace = "1s"'))
    running.start().wait_healthy("cam")
    running.wait_recorded("cam")
    running.crash()
    running.wait("every process to end", lambda: not running.pids(), GONE_WITHIN_S)
    assert frame_times_s(running.files("cam")[0])


def test_kills_at_any_moment_cost_no_frame(service: MakeService, camera: Camera) -> None:
    """Also while it starts, adopts, and rebuilds another stream or its worker."""
    running = service(table("cam", camera.url("cam")), table("flaps", ENDS_SOON))
    running.start().wait_healthy("cam")
    pid = running.stream("cam")["pid"]
    draw = random.Random(5)
    for _ in range(5):
        kill_at_a_moment(running, draw)
    running.start().wait_healthy("cam")
    now = running.stream("cam")
    assert (now["pid"], now["epoch"], now["outage_s_total"]) == (pid, 1, 0.0)
    told = [it["rule"] for it in running.journal("cam") if it["component"] == "cam"]
    assert "adopted" in told
    running.wait_for("flaps", lambda it: it["state"] == "running")
    assert running.stop() == 0
    assert not pictures_lost(running, "cam")
    # A busy machine lets a camera pause: no picture is missing then, but time is.
    assert {cause for cause, _ in gaps_of(running, "cam")} <= {"stall", "stopped"}
    assert "unknown" not in {cause for cause, _ in gaps_of(running, "flaps")}


def test_what_fails_without_a_manager_is_told_to_the_next_one(
    service: MakeService, camera: Camera
) -> None:
    """The outage begins with the last picture, and the camera is tried again at once."""
    running = service(table("cam", camera.url("cam"))).start()
    running.wait_healthy("cam")
    pid, (server,) = running.stream("cam")["pid"], running.fork_servers()
    running.crash()
    os.kill(server, signal.SIGKILL)
    camera.die()
    died_s = time.time()
    camera.start()
    running.start().wait_healthy("cam")
    healed_s = time.time()
    now = running.stream("cam")
    assert (now["pid"], now["restarts_total"], now["last_fault"]["cause"]) == (pid, 1, "network")
    assert 0 < now["outage_s_total"] < healed_s - died_s + 1
    told = [it for it in running.journal("cam") if it["component"] == "cam/source"]
    adopted = next(it for it in told if it["rule"] == "adopted")
    (failed,) = (it for it in told if it["cause"] == "network")
    assert adopted["seq"] < failed["seq"]
    # The fork server that died is replaced when one is needed.
    os.kill(pid, signal.SIGKILL)
    running.wait_for("cam", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    assert len(running.fork_servers()) == 1


def test_a_runtime_directory_that_can_not_be_written_costs_no_stream_anything(
    service: MakeService, small_disk: Path
) -> None:
    """Where only reading is possible the next one says so and ends; where all is full it adopts."""
    running = service(table("cam", "test:"))
    running.place_runtime(small_disk)
    running.start().wait_healthy("cam")
    workers = running.workers()
    running.crash()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused = running.launch()
    assert refused.wait(20) == 2
    assert "manager.runtime_dir: found" in running.log()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    running.start().wait_healthy("cam")
    assert running.workers() == workers
    os.kill(next(iter(workers)), signal.SIGKILL)
    running.wait_for("cam", lambda it: it["epoch"] > 1 and it["health"] == "healthy")
    assert running.stop() == 0
