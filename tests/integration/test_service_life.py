"""The manager's own life: signals, locks, reloads, restarts, crashes, and broken state."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.integration.service import Service, frame_times_s, table

from stream_manager.pipelines.logfile import LIMIT_BYTES

pytestmark = pytest.mark.media

COMMAND = (sys.executable, "-c", "from stream_manager.cli import main; main()")

MakeService = Callable[..., Service]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a minute of 25 frames a second with a keyframe in each."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi"),
            *("-i", "testsrc=size=160x120:rate=25:duration=60"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"),
            path,
        ],
        check=True,
        timeout=60,
    )
    return path


def refusals(service: Service) -> tuple[int, str]:
    """Start a second manager beside `service`; return its exit code and what it said."""
    second = service.launch()
    return second.wait(20), service.log()


def test_sigterm_ends_everything_and_every_file_plays(service: MakeService) -> None:
    """Exit 0 within five seconds, no process or socket left, and each recording decodes."""
    running = service(
        table("ts", "test:"),
        table("mkv", "test:", record='{ volumes = ["main"], segment = "2s", container = "mkv" }'),
        table("mp4", "test:", record='{ volumes = ["main"], segment = "2s", container = "mp4" }'),
    ).start()
    running.wait_healthy("ts", "mkv", "mp4")
    running.wait_media("mp4", 3)
    assert running.stop(within_s=5.0) == 0
    running.wait("every process to end", lambda: not running.pids(), 2.0)
    assert [it.name for it in running.runtime_dir.iterdir()] == ["lock"]
    for stream in ("ts", "mkv", "mp4"):
        files = running.files(stream)
        assert len(files) >= 2
        assert {path.suffix for path in files} == {f".{stream}"}
        assert sum(len(frame_times_s(path)) for path in files) >= 75


def test_sigterm_while_streams_start(service: MakeService) -> None:
    """A manager that is told to go before its first worker is born leaves nothing behind."""
    running = service(*(table(f"cam-{number}", "test:") for number in range(4))).start()
    assert running.stop(within_s=5.0) == 0
    running.wait("every process to end", lambda: not running.pids(), 2.0)
    assert [it.name for it in running.runtime_dir.iterdir()] == ["lock"]


def test_sigterm_waits_for_no_worker_that_hangs(service: MakeService) -> None:
    """Five seconds are enough for one that does not listen: it is killed."""
    running = service(table("cam", "test:"), table("hung", "test:")).start()
    running.wait_healthy("cam", "hung")
    os.kill(running.stream("hung")["pid"], signal.SIGSTOP)
    assert running.stop(within_s=5.0) == 0
    running.wait("every process to end", lambda: not running.pids(), 2.0)


def test_a_second_sigterm_ends_at_once(service: MakeService) -> None:
    """Whoever is in a hurry waits for no worker; the workers finish by themselves."""
    running = service(table("cam", "test:")).start()
    running.wait_healthy("cam")
    (worker,) = running.workers()
    os.kill(worker, signal.SIGSTOP)
    running.signal(signal.SIGTERM)
    running.wait("the stop to begin", lambda: running.logged(event="stopping"))
    assert running.process.poll() is None
    running.signal(signal.SIGTERM)
    assert running.process.wait(1.0) == 1
    os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("shared", ["state_dir", "runtime_dir"])
def test_a_second_manager_is_refused(service: MakeService, shared: str) -> None:
    """It exits 2, names the first one's pid, and touches nothing."""
    first = service(table("cam", "test:")).start()
    first.wait_healthy("cam")
    second = service(table("cam", "test:"))
    own = {"state_dir": "./state", "runtime_dir": "./run"}[shared]
    text = second.config.read_text()
    second.config.write_text(text.replace(f'"{own}"', f'"{getattr(first, shared)}"'))
    code, said = refusals(second)
    assert code == 2
    assert str(first.process.pid) in said
    assert first.stream("cam")["epoch"] == 1
    first.wait_recorded("cam")


def test_sighup_adds_changes_and_removes_streams(service: MakeService) -> None:
    """What did not change goes on untouched; a configuration with errors changes nothing."""
    running = service(table("stays", "test:"), table("changes", "test:"), table("leaves", "test:"))
    running.start().wait_healthy("stays", "changes", "leaves")
    before = {it["id"]: it for it in running.status()["streams"]}
    running.config.write_text("this is no configuration")
    running.signal(signal.SIGHUP)
    running.wait("the refusal", lambda: running.logged(level="error"))
    assert {it["id"] for it in running.status()["streams"]} == set(before)
    running.configure(
        table("stays", "test:"),
        table("changes", "test:", record='{ volumes = ["main"], container = "mkv" }'),
        table("arrives", "test:"),
    )
    running.signal(signal.SIGHUP)
    running.wait(
        "the new set",
        lambda: {it["id"] for it in running.status()["streams"]} == {"stays", "changes", "arrives"},
    )
    running.wait_healthy("stays", "changes", "arrives")
    assert running.stream("stays")["pid"] == before["stays"]["pid"]
    assert running.stream("changes")["epoch"] == before["changes"]["epoch"] + 1
    assert running.output("changes")["segment"].endswith(".mkv")
    assert sorted(running.workers().values()) == ["arrives", "changes", "stays"]


def test_sighup_reaches_a_stopped_stream_and_takes_back_a_change(service: MakeService) -> None:
    """One that an operator stopped is replaced too; of two changes in a row the last one counts."""
    plain, matroska = (
        table("cam", "test:"),
        table("cam", "test:", record='{ volumes = ["main"], container = "mkv" }'),
    )
    running = service(plain, table("stopped", "test:")).start()
    running.wait_healthy("cam", "stopped")
    running.command("stopped", "stop")
    running.wait_for("stopped", lambda it: it["state"] == "stopped")
    running.configure(matroska)
    running.signal(signal.SIGHUP)
    running.wait("the reload", lambda: running.logged(event="configuration read again"))
    running.configure(plain)
    running.signal(signal.SIGHUP)
    running.wait(
        "the second reload", lambda: len(running.logged(event="configuration read again")) == 2
    )
    running.wait("one stream", lambda: [it["id"] for it in running.status()["streams"]] == ["cam"])
    running.wait_for("cam", lambda it: it["epoch"] > 1 and it["health"] == "healthy")
    assert running.output("cam")["segment"].endswith(".ts")
    assert list(running.workers().values()) == ["cam"]


def test_a_reload_tries_a_failed_stream_whose_secret_file_was_put_right(
    service: MakeService, tmp_path: Path
) -> None:
    """The command tells what changed; a bad configuration is refused and changes nothing."""
    secret = tmp_path / "element"
    secret.write_text("nosuchelement\n")
    secret.chmod(0o600)
    source = f"videotestsrc is-live=true ! ${{file:{secret}}} ! x264enc tune=zerolatency"
    cam = table("cam", source)
    running = service(cam, table("other", "test:")).start()
    running.wait_healthy("other")
    running.wait_for("cam", lambda it: it["state"] == "failed")
    other = running.stream("other")["pid"]
    reload = [*COMMAND, "reload", "--config", str(running.config)]

    running.configure(cam, table("other", "nonsense:"))
    refused = subprocess.run(reload, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "streams.other.source: found" in refused.stderr
    assert running.stream("cam")["state"] == "failed"

    secret.write_text("identity\n")
    running.configure(cam, table("other", "test:"))
    done = subprocess.run(reload, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "changed (what an operator stopped stays stopped, the others start anew): cam",
        "unchanged, and undisturbed: other",
    ]
    running.wait_healthy("cam", "other")
    assert running.stream("other")["pid"] == other


def test_an_operators_stop_outlives_a_restart(service: MakeService) -> None:
    """The next manager leaves the stream stopped until somebody starts it."""
    running = service(table("cam", "test:"), table("other", "test:")).start()
    running.wait_healthy("cam", "other")
    running.command("cam", "stop")
    stopped = running.wait_for("cam", lambda it: it["state"] == "stopped")
    assert stopped["health"] is None
    assert stopped["pid"] is None
    running.stop()
    running.start().wait_healthy("other")
    assert running.stream("cam")["state"] == "stopped"
    running.command("cam", "start")
    running.wait_healthy("cam")


def test_recovery_of_a_file_goes_on_where_it_was(service: MakeService, film: Path) -> None:
    """Neither a kill of its worker nor a restart of the manager starts the film over."""
    running = service(table("film", f"file:{film}")).start()

    def position_s() -> float:
        path = running.state_dir / "manager.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            query = (
                "SELECT json_extract(payload, '$.position_s') FROM snapshots WHERE component = ?"
            )
            found = database.execute(query, ("film/source",)).fetchone()
        return found[0] if found and found[0] else 0.0

    running.wait("three seconds of film", lambda: position_s() >= 3)
    before_s, epoch = position_s(), running.stream("film")["epoch"]
    os.kill(running.stream("film")["pid"], signal.SIGKILL)
    running.wait_for("film", lambda it: it["epoch"] > epoch and it["health"] == "healthy")
    running.wait("the next position", lambda: position_s() > before_s)
    assert position_s() < before_s + 10
    running.stop()
    before_s = position_s()
    running.start().wait_healthy("film")
    running.wait("the next position", lambda: position_s() > before_s)
    assert position_s() < before_s + 10


def test_recovery_from_a_worker_that_hangs(service: MakeService) -> None:
    """A stopped process is found by its silence, ended for sure, and replaced."""
    running = service(table("cam", "test:")).start()
    running.wait_healthy("cam")
    (worker,) = running.workers()
    os.kill(worker, signal.SIGSTOP)
    healed = running.wait_for("cam", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    assert healed["last_fault"]["cause"] == "hang"
    assert worker not in running.pids()


def test_recovery_without_the_fork_server(service: MakeService) -> None:
    """Its end costs no stream anything, and the next crash is healed by a new one."""
    running = service(table("cam", "test:"), table("other", "test:")).start()
    running.wait_healthy("cam", "other")
    (server,) = running.fork_servers()
    os.kill(server, signal.SIGKILL)
    running.wait("its end", lambda: server not in running.pids())
    running.wait_recorded("cam")
    worker = running.stream("cam")["pid"]
    os.kill(worker, signal.SIGKILL)
    running.wait_for("cam", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    running.wait_recorded("cam")
    (crash,) = [it for it in running.journal("cam") if it["cause"] and it["component"] == "cam"]
    assert (crash["cause"], crash["code"]) == ("crash", "exit:unknown")
    assert "the process ended unseen" in crash["saw"]["text"]  # by whoever would have known
    assert running.stream("other")["epoch"] == 1
    assert len(running.fork_servers()) == 1
    assert sorted(running.workers().values()) == ["cam", "other"]


def test_recovery_past_a_fork_server_that_hangs(service: MakeService) -> None:
    """One that takes an order and never answers is replaced, and the stream is healed."""
    running = service(table("cam", "test:"), table("other", "test:")).start()
    running.wait_healthy("cam", "other")
    (server,) = running.fork_servers()
    os.kill(server, signal.SIGSTOP)
    os.kill(running.stream("cam")["pid"], signal.SIGKILL)
    running.wait_for("cam", lambda it: it["epoch"] > 1 and it["health"] == "healthy")
    told = [it for it in running.journal("cam") if it["cause"] and it["component"] == "cam"]
    assert {it["code"] for it in told} == {"lost"}
    assert "the fork server does not answer" in told[-1]["saw"]["text"]
    assert running.stream("other")["epoch"] == 1
    assert server not in running.fork_servers()


def test_a_corrupt_snapshot_is_set_aside(service: MakeService, film: Path) -> None:
    """The stream starts clean, and it is told; nothing else of the state is lost."""
    running = service(table("film", f"file:{film}")).start()
    running.wait_healthy("film")
    running.stop()
    with closing(sqlite3.connect(running.state_dir / "manager.db")) as database, database:
        database.execute("UPDATE snapshots SET payload = '{\"position_s\": 55.0}'")
    running.start().wait_healthy("film")
    assert any("set aside" in str(it["event"]) for it in running.logged(level="warning"))
    running.wait_recorded("film")


def test_a_corrupt_database_is_set_aside(service: MakeService) -> None:
    """It is kept under another name, said loudly, and the streams start all the same."""
    running = service(table("cam", "test:")).start()
    running.wait_healthy("cam")
    running.stop()
    for path in running.state_dir.glob("manager.db-*"):
        path.unlink()
    (running.state_dir / "manager.db").write_bytes(b"no database " * 1000)
    running.start().wait_healthy("cam")
    running.wait_recorded("cam")
    assert running.logged(cause="storage")
    kept = [path for path in running.state_dir.iterdir() if path.name.startswith("manager.db")]
    assert any(path.read_bytes().startswith(b"no database") for path in kept)


def test_the_fork_servers_log_stays_short(service: MakeService) -> None:
    """What many managers' fork servers wrote is put aside once, and a new log begun."""
    running = service(table("cam", "test:"))
    log = running.state_dir / "logs" / "forkserver.log"
    log.parent.mkdir(parents=True)
    running.state_dir.chmod(0o700)
    log.write_bytes(b"x" * (LIMIT_BYTES + 1))
    running.start().wait_healthy("cam")
    assert log.stat().st_size <= LIMIT_BYTES
    assert log.with_name("forkserver.log.1").stat().st_size > LIMIT_BYTES


def test_a_full_disk_of_the_store_stops_no_stream(service: MakeService, small_disk: Path) -> None:
    """Without room for one more byte or file streams start, record and recover from memory."""
    running = service(table("cam", "test:"))
    text = running.config.read_text()
    running.config.write_text(text.replace('"./state"', f'"{small_disk}"'))
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    with suppress(OSError):
        for number in range(100):
            (small_disk / f"filler-{number}").touch()
    running.start().wait_healthy("cam", within_s=60)
    running.wait_recorded("cam")
    os.kill(running.stream("cam")["pid"], signal.SIGKILL)
    running.wait_for("cam", lambda it: it["restarts_total"] == 1 and it["health"] == "healthy")
    assert running.status()["manager"]["store"]["state"] == "failing"
    assert (running.runtime_dir / "logs" / "cam.log").exists()
    running.stop()
