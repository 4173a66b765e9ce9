import errno
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

from stream_manager.api import tcp_socket
from stream_manager.store import lock_directory

Cli = Callable[..., tuple[int, str, str]]


def test_version_and_help_wait_for_no_heavy_library() -> None:
    """What a shell's completion or a curious person asks is answered at once."""
    heavy = ("httpx", "rich", "pydantic", "fastapi", "msgspec", "asyncio", "sqlite3")
    script = f"import stream_manager.cli, sys; print([it for it in {heavy} if it in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert loaded.stdout == b"[]\n"


def test_a_command_waits_for_no_other_command() -> None:
    """A manager that starts anew is waited for: its start loads what it runs, and nothing else."""
    others = ("httpx", "fastapi", "stream_manager.cli.client", "stream_manager.cli.doctor")
    script = (
        "import sys; sys.argv = ['stream-manager', 'run', '/nowhere.toml']\n"
        "from stream_manager.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print([it for it in {others} if it in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert loaded.stdout == b"[]\n"


def test_version(cli: Cli) -> None:
    """The version is that of the distribution."""
    assert cli("--version") == (0, "stream-manager 0.1.0\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "--config", "a.toml", "--url", "http://127.0.0.1"), "not both"),
        (("status", "--config", "nowhere.toml"), "nowhere.toml: found No such file"),
        (("status", "--url", "here"), "here is no address of a manager"),
        (("status", "--url", "here://u:pw@cam?token=x"), "***@cam?*** is no address of a manager"),
        (("check", "nowhere.toml"), "nowhere.toml: found No such file"),
        (("run", "nowhere.toml"), "nowhere.toml: found No such file"),
        (("explain",), "Missing argument 'STREAM'"),
        (("journal", "--limit", "0"), "greater than or equal to 1"),
        (("bogus",), "No such command 'bogus'"),
    ],
)
def test_misuse_exits_with_2_and_says_what_is_wrong(
    cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    """Nothing goes to stdout, and no traceback anywhere."""
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_check_judges_a_configuration(cli: Cli, config: str, tmp_path: Path) -> None:
    """A good file is said to be good on stdout; errors go to stderr with 2."""
    code, out, err = cli("check", config)
    assert (code, err) == (0, "")
    assert out.startswith(f"{config}: good")
    bad = tmp_path / "bad.toml"
    bad.write_text("[manager]\nstate_dri = 1\n")
    code, out, err = cli("check", str(bad))
    assert (code, out) == (2, "")
    assert err.startswith(f"{bad}:2: manager.state_dri: ")


@pytest.fixture(autouse=True)
def _restored_signals() -> Iterator[None]:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_restored_logging")
def test_run_serves_the_configuration_and_logs_to_stderr(
    cli: Cli, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager gets the file and the means to read it again; its code is the exit code."""
    served = []

    async def serve(configuration: object, *, reload: object, keep_workers: bool) -> int:
        served.append((configuration, reload, keep_workers))
        structlog.get_logger().info("started", streams=0)
        logging.getLogger("somebody.else").warning("odd: %s", "x")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        return 1

    monkeypatch.setitem(sys.modules, "stream_manager.streams", SimpleNamespace(serve=serve))
    code, out, err = cli("run", config, "--log-json")
    assert (code, out) == (1, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("started", "info"),
        ("odd: x", "warning"),
    ]
    assert lines[0]["streams"] == 0
    assert lines[0]["at"].endswith("Z")
    configuration, reload, keep_workers = served[0]
    assert callable(reload)
    assert reload() == configuration
    assert not keep_workers

    code, out, err = cli("run", config, "--keep-workers")
    assert served[1][2]
    assert (code, out) == (1, "")
    assert "started" in err
    assert "streams=0" in err
    assert "\x1b" not in err


def refused(config: str) -> tuple[int, str]:
    """Start a manager that can't run; return its exit code and the last line that it said."""
    ended = subprocess.run(
        [sys.executable, "-c", "from stream_manager.cli import main; main()", "run", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("shared", ["run", "state"])
def test_a_second_manager_is_told_how_to_stop_the_first(config: str, shared: str) -> None:
    """By its sockets where it has the same; where only the state is shared its pid leads to it."""
    directory = Path(config).parent / ("d" * 100) / shared
    lock = lock_directory(directory)
    stop = (
        f"stream-manager shutdown --config {config}" if shared == "run" else f"kill {os.getpid()}"
    )
    assert refused(config) == (
        2,
        (
            f"{directory} is in use by the stream-manager with pid {os.getpid()};"
            f" stop that one first, or give this one a directory of its own; to stop it: {stop}"
        ),
    )
    lock.release()


def test_a_taken_port_is_told_with_its_key_and_the_mend(config: str) -> None:
    """File and line, as for every other value that can't be used."""
    with tcp_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        path = Path(config)
        path.write_text(
            path.read_text().replace("[manager]", f'[manager]\nlisten = "127.0.0.1:{port}"')
        )
        code, said = refused(config)
    assert code == 1
    assert said.startswith(
        f"{config}:2: manager.listen: the API can't listen at 127.0.0.1:{port}: Address already in"
        " use; name another port"
    )
    assert said.endswith('or "" for none')


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(
    ("reason", "mend"),
    [
        (errno.EACCES, '; take a port from 1024 on, or "" for none'),
        (errno.EADDRNOTAVAIL, ""),
    ],
)
def test_another_reason_has_another_mend(
    cli: Cli, config: str, monkeypatch: pytest.MonkeyPatch, reason: int, mend: str
) -> None:
    """Nobody has a port that may not be taken, nor one of an address that is not there."""
    path = Path(config)
    path.write_text(path.read_text().replace("[manager]", '[manager]\nlisten = "127.0.0.1:80"'))

    async def serve(_: object, *, reload: object, keep_workers: bool) -> int:
        assert reload
        assert not keep_workers
        tcp_socket("127.0.0.1", 80)
        raise AssertionError

    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("socket.socket.bind", refuse)
    monkeypatch.setitem(sys.modules, "stream_manager.streams", SimpleNamespace(serve=serve))
    code, _, err = cli("run", config)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"{config}:2: manager.listen: the API can't listen at 127.0.0.1:80:"
        f" {os.strerror(reason)}{mend}"
    )
