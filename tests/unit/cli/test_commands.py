import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stream_manager.api import Verb, tcp_socket, unix_socket
from stream_manager.api.app import create_app
from stream_manager.api.serve import serve
from stream_manager.clock import SystemClock
from stream_manager.errors import UsageError
from stream_manager.store import Entry, Store, lock_directory

Cli = Callable[..., tuple[int, str, str]]
COMMAND = (sys.executable, "-c", "from stream_manager.cli import main; main()")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STATUS: dict[str, Any] = {
    "manager": {
        "pid": 4711,
        "uptime_s": 8000.0,
        "version": "0.1.0",
        "state_dir": None,
        "store": None,
        "loop": None,
        "tasks": [],
        "index": None,
    },
    "streams": [
        {
            "id": "front-door",
            "state": "running",
            "health": "healthy",
            "pid": 42,
            "abandoned": [],
            "epoch": 3,
            "restarts_total": 0,
            "attempt": 0,
            "next_attempt_in_s": None,
            "waits_for": None,
            "last_fault": None,
            "uptime_s": 60.0,
            "availability": 1.0,
            "outage_s_total": 0.0,
            "mttr_s": None,
            "media": {"frames": 9, "bytes": 9, "last_at": None, "fps": 25.0, "bitrate_bps": 2.1e6},
            "usage": None,
            "outputs": [],
        }
    ],
    "domains": [],
    "pressure": {},
}


def make_entry(seq: int, **fields: object) -> Entry:
    """Return a decision's entry."""
    return Entry(
        **{  # type: ignore[arg-type]  # the keys are the fields, each with its own type
            "seq": seq,
            "because": None,
            "at": NOON,
            "stream": "front-door",
            "component": "front-door/source",
            "epoch": 3,
            "event": "failed",
            "rule": "network",
            "cause": "network",
            "fault_class": "recoverable",
            "code": "ECONNREFUSED",
            "message": "failed: connection refused",
            "before": "running",
            "after": "tearing_down",
            "attempt": 1,
            "next_attempt_at": None,
            "saw": {},
            "actions": (),
            **fields,
        }
    )


@dataclass
class Manager:
    """A service with two streams and three entries, that notes commands."""

    commands: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    reloads: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = "cameras.toml:3: found a mistake\ncameras.toml:4: and another"

    def stream_ids(self) -> Sequence[str]:
        """Have two streams."""
        return ("front-door", "car-park")

    def status(self) -> dict[str, Any]:
        """Say that all is well."""
        return STATUS

    async def explain(self, stream: str) -> dict[str, Any]:
        """Say a sentence with a character that a terminal would obey."""
        return {
            "stream": stream,
            "state": "running",
            "health": "healthy",
            "sentences": [
                f"{stream} is \x1b[31mrunning",
                f"To stop it one would type stream-manager reset {stream}, maybe",
                f"Not to wait: stream-manager reset {stream}",
                "After a change: stream-manager reload",
            ],
            "components": [],
            "tried": [],
        }

    async def command(self, stream: str, verb: Verb) -> None:
        """Refuse to start what runs."""
        if verb == "start":
            raise UsageError(f"{stream} is running already")
        self.commands.append(f"{verb} {stream}")

    async def journal(
        self, stream: str | None, after: int | None, limit: int, wait_s: float
    ) -> list[Entry]:
        """Have entries 1 to 3, then one more for a client that waits."""
        if after is None:
            entries = [make_entry(seq) for seq in (1, 2, 3)]
            return [it for it in entries if stream in (None, it.stream)][-limit:]
        if after == 3:
            return [make_entry(4)]
        await asyncio.sleep(wait_s)
        return []

    async def reload(self) -> dict[str, Any]:
        """Do what the test prepared; refuse a configuration where it prepared nothing."""
        if not self.reloads:
            raise UsageError(self.refuses)
        nothing: dict[str, Any] = {"added": [], "changed": [], "removed": [], "warnings": []}
        return {**nothing, "unchanged": ["front-door"], **self.reloads.pop(0)}

    def shutdown(self) -> None:
        """End serving."""
        self.ended.set()


@dataclass(frozen=True)
class Running:
    """A manager that answers, and how to reach it."""

    manager: Manager
    config: str
    url: str


@pytest.fixture
def running(config: str) -> Iterator[Running]:
    """Serve a manager in a thread, on its Unix socket and on TCP."""
    manager = Manager()
    runtime = lock_directory(Path(config).parent / ("d" * 100) / "run")
    tcp = tcp_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
    sockets = [unix_socket(runtime), tcp]

    async def live() -> None:
        serving = asyncio.create_task(serve(create_app(manager, reload=manager.reload), sockets))
        await asyncio.to_thread(manager.ended.wait)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        runtime.release()

    thread = threading.Thread(target=asyncio.run, args=[live()])
    thread.start()
    yield Running(manager, config, url)
    manager.ended.set()
    thread.join()


def test_status_in_json_is_the_api_s_answer_and_nothing_else(cli: Cli, running: Running) -> None:
    """A program can parse all of stdout, over the Unix socket and over TCP."""
    for where in (("--config", running.config), ("--url", running.url)):
        code, out, err = cli("status", "--json", *where)
        assert (code, json.loads(out), err) == (0, STATUS, "")


def test_status_for_people_names_the_stream_and_its_health(cli: Cli, running: Running) -> None:
    """The table comes without --json; piped it is as wide as it needs to be, and not padded."""
    code, out, err = cli("status", "--config", running.config)
    assert (code, err) == (0, "")
    assert "OUTPUTS" in out
    assert not re.search(" $", out, re.MULTILINE)
    assert "front-door  healthy" in out


def test_explain(cli: Cli, running: Running) -> None:
    """Sentences are printed without what a terminal would obey; JSON has them as they are."""
    where = ("--config", running.config)
    code, out, err = cli("explain", "car-park", *where)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "car-park is  [31mrunning",
        "To stop it one would type stream-manager reset car-park, maybe",
        f"Not to wait: stream-manager reset car-park --config {running.config}",
        f"After a change: stream-manager reload --config {running.config}",
    ]
    _, out, _ = cli("explain", "car-park", "--url", running.url)
    assert out.endswith(f": stream-manager reload --url {running.url}\n")
    code, out, _ = cli("explain", "car-park", "--json", *where)
    answer = json.loads(out)
    assert (code, answer["stream"], answer["health"]) == (0, "car-park", "healthy")
    assert answer["sentences"][0] == "car-park is \x1b[31mrunning"


def test_commands_reach_the_manager(cli: Cli, running: Running) -> None:
    """Each verb arrives, and is confirmed."""
    for verb in ("restart", "stop", "reset"):
        code, out, err = cli(verb, "car-park", "--config", running.config)
        assert (code, out, err) == (0, f"car-park: {verb} accepted\n", "")
    assert running.manager.commands == ["restart car-park", "stop car-park", "reset car-park"]


def test_what_the_manager_refuses_is_misuse(cli: Cli, running: Running) -> None:
    """An unknown stream and a senseless command exit with 2 and the manager's reason."""
    where = ("--config", running.config)
    assert cli("stop", "x", *where) == (2, "", 'no stream "x"; there are: front-door, car-park\n')
    assert cli("start", "car-park", *where) == (2, "", "car-park is running already\n")


def test_a_command_in_a_refusal_can_be_pasted(cli: Cli, running: Running) -> None:
    """The manager can't know how it was reached."""
    running.manager.refuses = "no streams; to end them all: stream-manager shutdown"
    code, _, err = cli("reload", "--config", running.config)
    assert code == 2
    assert err.endswith(f": stream-manager shutdown --config {running.config}\n")


def test_reload_tells_what_it_did(cli: Cli, running: Running) -> None:
    """What changed and what went on; and where nothing did, what a reload can't reach."""
    where = ("--config", running.config)
    running.manager.reloads = [
        {"added": ["a", "b"], "changed": ["c"], "removed": ["d"], "warnings": ["look\nhere"]},
        {},
    ]
    code, out, err = cli("reload", *where)
    assert (code, err) == (0, "look here (warning)\n")
    assert out.splitlines() == [
        "new: a, b",
        "changed (what an operator stopped stays stopped, the others start anew): c",
        "removed: d",
        "unchanged, and undisturbed: front-door",
    ]
    code, out, err = cli("reload", *where)
    assert (code, err) == (0, "")
    assert out.startswith("no stream has changed. A new value of an environment variable takes")


def test_reload_tells_a_program_the_same(cli: Cli, running: Running) -> None:
    """With --json: the answer as it came, warnings too."""
    running.manager.reloads = [{"changed": ["c"], "warnings": ["look"]}]
    code, out, err = cli("reload", "--json", "--config", running.config)
    assert (code, err) == (0, "")
    answer = {"added": [], "changed": ["c"], "removed": [], "unchanged": ["front-door"]}
    assert json.loads(out) == {**answer, "warnings": ["look"]}


def test_reload_of_a_bad_configuration_is_misuse(cli: Cli, running: Running) -> None:
    """Its errors are shown line by line, as `check` shows them."""
    code, out, err = cli("reload", "--config", running.config)
    assert (code, out) == (2, "")
    assert err == "cameras.toml:3: found a mistake\ncameras.toml:4: and another\n"


# httpcore leaves a socket that could not connect to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_shutdown_returns_when_the_manager_is_gone(cli: Cli, running: Running) -> None:
    """After it, another manager can be started at once."""
    assert cli("shutdown", "--config", running.config) == (0, "the manager has stopped\n", "")
    code, _, err = cli("status", "--config", running.config)
    assert code == 1
    assert "no manager answers at" in err
    gc.collect()


def test_without_a_manager_commands_say_how_to_start_one(cli: Cli, config: str) -> None:
    """One line names the socket and the mend."""
    code, out, err = cli("status", "--config", config)
    assert (code, out) == (1, "")
    assert err.startswith("no manager answers at /")
    assert err.endswith(f"/run/api.sock; start one with: stream-manager run {config}\n")


def test_a_socket_of_another_user_is_not_asked(
    cli: Cli, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens there could show anything and take every command; root may look anywhere."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cli("status", "--config", running.config)[0] == 0
    owned_by_4711 = os.stat_result((0, 0, 0, 0, 4711, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "geteuid", lambda: 4712)
    monkeypatch.setattr(Path, "lstat", lambda _: owned_by_4711)
    code, out, err = cli("stop", "car-park", "--config", running.config)
    assert (code, out, running.manager.commands) == (2, "", [])
    assert "/run/api.sock belongs to user 4711, and this is user 4712: " in err


def test_a_socket_that_is_another_users_says_as_whom_to_ask(
    cli: Cli, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of a service's sockets is closed to all others."""

    def refuse(_: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    (Path(config).parent / ("d" * 100) / "run").mkdir(parents=True)
    monkeypatch.setattr(Path, "lstat", refuse)
    code, out, err = cli("status", "--config", config)
    assert (code, out) == (1, "")
    assert err.endswith(
        "api.sock can't be reached: Permission denied; run this as the user that the manager runs"
        " as, or with sudo\n"
    )


def test_the_default_manager_is_sought_in_the_default_place(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options the runtime directory of the user is looked into."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    code, _, err = cli("status")
    assert code == 1
    assert f"{tmp_path}/stream-manager/api.sock" in err
    assert "--config" in err


def test_something_else_that_answers_is_told_from_a_manager(cli: Cli, tmp_path: Path) -> None:
    """A wrong port with another server behind it is said, not shown as a traceback."""
    script = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0),"
    script += " h.SimpleHTTPRequestHandler); print(s.server_port, flush=True); s.serve_forever()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        assert other.stdout is not None
        url = f"http://127.0.0.1:{other.stdout.readline().strip()}"
        try:
            assert cli("status", "--url", url) == (
                1,
                "",
                f"what answers at {url} is no stream-manager\n",
            )
        finally:
            other.kill()


def test_journal_of_a_running_manager(cli: Cli, running: Running) -> None:
    """People get local time, what happened and the rule; programs get a JSON array."""
    code, out, err = cli("journal", "--config", running.config, "--limit", "1")
    assert (code, err) == (0, "")
    assert out == ("2026-01-31 13:00:00.000  failed: connection refused [network]\n")
    _, out, _ = cli("journal", "front-door", "--json", "--config", running.config)
    assert [entry["seq"] for entry in json.loads(out)] == [1, 2, 3]
    assert json.loads(out)[0] == make_entry(1).to_json()
    assert cli("journal", "car-park", "--config", running.config) == (0, "", "")
    for more in ((), ("--follow",)):
        code, out, err = cli("journal", "x", "--config", running.config, *more)
        assert (code, out) == (2, "")
        assert err == 'no stream "x"; there are: front-door, car-park\n'


def test_journal_without_a_manager_reads_the_store(cli: Cli, config: str, tmp_path: Path) -> None:
    """What happened before the manager ended can be read after it."""
    _, _, err = cli("journal", "--config", config)
    assert "no manager has run with this state_dir" in err
    store = Store.open(tmp_path / ("d" * 100) / "state", clock=SystemClock(), on_fault=pytest.fail)
    store._put([make_entry(1)], late=True)
    store.close()
    code, out, err = cli("journal", "--config", config)
    assert (code, err) == (0, "")
    assert out.endswith("connection refused [network] (written late)\n")
    assert cli("journal", "front-door", "--config", config) == (0, out, "")
    code, out, err = cli("journal", "x", "--config", config)
    assert (code, out) == (2, "")
    assert err == 'the journal has no entry of "x"; it has entries of: front-door\n'


def test_journal_without_manager_and_configuration_asks_for_one(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can guess which store is meant; a named address is no store either."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    code, _, err = cli("journal")
    assert code == 1
    assert "read a stopped one's journal with --config" in err
    code, _, err = cli("journal", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "no manager answers at http://127.0.0.1:1" in err


@pytest.fixture
def follower(running: Running) -> Iterator[subprocess.Popen[str]]:
    """Run `journal --follow` as a process of its own."""
    arguments = ("journal", "--follow", "--json", "--limit", "2", "--config", running.config)
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as process:
        yield process
        process.kill()


def test_journal_follows_until_interrupted(follower: subprocess.Popen[str]) -> None:
    """New entries come at once, a line each, and Ctrl-C is the way to end."""
    assert follower.stdout is not None
    seqs = [json.loads(follower.stdout.readline())["seq"] for _ in range(3)]
    assert seqs == [2, 3, 4]
    follower.send_signal(signal.SIGINT)
    out, err = follower.communicate(timeout=10)
    assert (out, err, follower.returncode) == ("", "", 0)


def test_a_reader_that_has_seen_enough_is_no_error(running: Running) -> None:
    """`| head` leaves no traceback behind."""
    arguments = ("journal", "--json", "--config", running.config)
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
