"""The demo, run as a user runs it: the command in an empty directory."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.waiting import wait_for

from stream_manager.lab.demo_recordings import play_back
from stream_manager.lab.demo_results import Outcome, Verdict
from stream_manager.lab.demo_scenarios import SCENARIOS

pytestmark = pytest.mark.media

COMMAND = str(Path(sys.executable).with_name("stream-manager"))
FAULTS = [
    ("kill a worker", "crash"),
    ("reboot a camera", "network"),
    ("freeze a camera", "stall"),
    ("drop the network", "stall"),  # as long as nobody has tried to connect
]
ENDS_WITHIN_S = 20.0
STARTS_WITHIN_S = 60.0
PLAYS_WITHIN_S = 180.0


def running_in(directory: Path) -> list[str]:
    """Return the command lines of the processes that work in `directory`: all children do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                command = (process / "cmdline").read_bytes()
                found.append(command.replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return [command for command in found if command]  # a zombie has none


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a demo whose manager records already."""
    command = [COMMAND, "demo", "--seconds", "60"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: list(tmp_path.glob("demo-*/recordings/*/*/*")), STARTS_WITHIN_S)
        assert len(running_in(tmp_path)) > 4  # the demo, cameras, the manager, workers
        yield process
    finally:
        process.kill()
        process.wait()


def test_demo_breaks_and_heals_everything_it_promises(tmp_path: Path) -> None:
    """Each fault is found as what it is and healed, all files play, and only a folder stays."""
    done = subprocess.run(
        [COMMAND, "demo", "--seconds", "1", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        timeout=PLAYS_WITHIN_S,
        check=False,
    )
    told = json.loads(done.stdout)
    assert told["flaws"] == []
    assert done.returncode == 0
    assert [(fault["fault"], fault["cause"]) for fault in told["faults"]] == FAULTS
    for fault in told["faults"]:
        assert fault["healed"]
        assert fault["detected_after_s"] >= 0
        assert fault["outage_s"] > 0
    reboot = told["faults"][1]
    assert reboot["outage_s"] >= 3.0
    assert reboot["delays_s"] == sorted(reboot["delays_s"])
    drop = told["faults"][3]
    assert drop["causes"] == ["stall", "network"]
    assert drop["outage_s"] >= 6.0
    for recording in told["recordings"]:
        assert recording["files"] >= 2
        assert recording["frames"] > 0
    assert [path.name for path in tmp_path.iterdir()] == [told["folder"]]
    assert running_in(tmp_path) == []


def test_demo_ends_cleanly_on_ctrl_c(tmp_path: Path, recording: subprocess.Popen[bytes]) -> None:
    """SIGINT ends cameras, manager and workers, and the demo says by its status that it failed."""
    recording.send_signal(signal.SIGINT)
    assert recording.wait(ENDS_WITHIN_S) != 0
    assert running_in(tmp_path) == []


def test_demo_that_is_killed_leaves_nothing_running(
    tmp_path: Path, recording: subprocess.Popen[bytes]
) -> None:
    """After SIGKILL of the demo alone everything that it had started ends by itself."""
    recording.kill()
    recording.wait()
    wait_for(lambda: not running_in(tmp_path), ENDS_WITHIN_S)


def test_demo_refuses_a_clip_that_is_none(tmp_path: Path) -> None:
    """A file that can't be played is named, with exit code 2, and no folder is made."""
    clip = tmp_path / "clip.mp4"
    clip.write_text("no film")
    done = subprocess.run(
        [COMMAND, "demo", "--clip", str(clip)],
        cwd=tmp_path,
        capture_output=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == b""  # nothing is said to be sent that is not
    assert str(clip).encode() in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_demo_fails_on_a_recording_that_does_not_play(tmp_path: Path) -> None:
    """A file without a picture is a flaw of the verdict, named by its path."""
    file = tmp_path / "garbage.ts"
    file.write_bytes(b"no film" * 1000)
    recording = asyncio.run(play_back("cam", tmp_path))
    assert recording.flaw is not None
    assert str(file) in recording.flaw


def test_demo_fails_on_a_fault_that_did_not_heal(tmp_path: Path) -> None:
    """A stream that is not verified within its bound makes the verdict fail, and says which."""
    outcome = Outcome.of(
        SCENARIOS[0],
        [],
        began_at=datetime.now(UTC),
        healed=False,
        lost_s={"front-door": 15.0, "garden": 0.0},
    )
    verdict = Verdict(folder=tmp_path, outcomes=(outcome,), recordings=(), ailing={})
    assert verdict.flaws == ("kill a worker: never detected within 15 s",)
    assert verdict.to_json()["healed"] is False
