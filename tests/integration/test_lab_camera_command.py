import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.waiting import wait_for
from tests.integration.wire import DEADLINE_S, Conversation

pytestmark = pytest.mark.media

COMMAND = (str(Path(sys.executable).with_name("stream-manager")), "lab", "camera")
Json = dict[str, Any]


@contextmanager
def command(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command; it must leave with status 0 when it is told to."""
    with subprocess.Popen(
        [*COMMAND, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
            running.send_signal(signal.SIGTERM)
            assert running.wait(DEADLINE_S) == 0
        finally:
            running.kill()


def told(running: subprocess.Popen[str], what: str) -> Json:
    """Return the next fact of a kind."""
    assert running.stdout is not None
    for line in running.stdout:
        fact: Json = json.loads(line)
        if fact["what"] == what:
            return fact
    raise AssertionError(f"it ended before it told of {what}")


def test_orders_come_by_stdin_and_its_end_ends_nothing() -> None:
    """A fault begins and ends by lines, a wrong line is told as that, and the camera goes on."""
    with command("--mount", "front", "--fault", "lose-audio") as running:
        assert running.stdin is not None
        url = told(running, "ready")["urls"]["front"]
        assert told(running, "fault")["name"] == "lose-audio"
        print("refuse\nexplode\nheal refuse", file=running.stdin, flush=True)
        assert (fault := told(running, "fault"))["phase"] == "began"
        assert fault["name"] == "refuse"
        assert told(running, "refused")["line"] == "explode"
        assert told(running, "fault")["phase"] == "ended"
        running.stdin.close()
        with Conversation(url) as client:
            client.play().until_video(3)
        assert told(running, "media")["phase"] == "first"


def test_orders_come_by_a_socket_with_answers(tmp_path: Path) -> None:
    """Its owner's alone; each line is answered when it is done, and the socket goes in the end."""
    path = tmp_path / "control"
    with command("--control", str(path)) as running:
        port = told(running, "ready")["port"]
        with socket.socket(socket.AF_UNIX) as control, control.makefile("rw") as lines:
            control.settimeout(DEADLINE_S)
            wait_for(lambda: running.poll() is None and control.connect_ex(str(path)) == 0)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            print("refuse", file=lines, flush=True)
            assert json.loads(lines.readline()) == {"ok": True}
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            print("stutter gap=1", file=lines, flush=True)
            answer = json.loads(lines.readline())
            assert answer["ok"] is False
            assert answer["error"].startswith("stutter: gap=1: ")
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "explode"], "there is no fault 'explode'. There are: die, reboot, "),
        (["--fault", "reboot"], "reboot: say how long, as in reboot for=3s"),
        (["--clip", "absent.mp4"], "absent.mp4"),
        (["--gop", "1", "--fault", "no-keyframe"], "no-keyframe: with gop=1 every picture"),
        (["--fault", "codec name=mjpeg", "--fault", "no-keyframe"], "no-keyframe: every picture"),
        (["--size", "5x5"], "picture size 5x5"),
        (["--auth", "none"], "--auth none: expected basic or digest"),
        (["--user", "viewer"], "--user and --password-env belong together"),
        (["--control", "/nowhere/socket"], "no directory /nowhere; make it (mkdir -p /nowhere)"),
        (["--control", f"/{'long' * 30}"], "longer than 107 bytes"),
    ],
)
def test_what_can_not_be_is_said_with_status_2(options: list[str], said: str) -> None:
    """One line on stderr names the thing and the mend."""
    done = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""  # not even that it is ready
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_under_stdout_ends_it_with_the_reason() -> None:
    """Without its record it does not go on: status 1 and one line that says why."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            COMMAND, stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False
        )
    assert done.returncode == 1
    assert "stdout: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1
