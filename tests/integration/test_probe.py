"""`stream-manager probe` on real sources: cameras, a file, a test picture; and its worst ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.waiting import wait_for

from stream_manager.config import check
from stream_manager.lab.camera import Camera
from stream_manager.pipelines.findings import Look
from stream_manager.pipelines.spec import PipelineSource
from stream_manager.probe import look
from stream_manager.recovery import Fault

pytestmark = pytest.mark.media

COMMAND = Path(sys.executable).parent / "stream-manager"
PASSWORD = "s3cret/@pass"
WITHIN_S = 60.0


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [COMMAND, "probe", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def facts(*arguments: str, **environment: str) -> dict[str, Any]:
    """Return what a source is, as values."""
    ended = run(*arguments, "--json", **environment)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def fault(*arguments: str, **environment: str) -> dict[str, Any]:
    """Return why a source gave nothing."""
    ended = run(*arguments, "--json", **environment)
    assert ended.returncode == 1, ended.stderr + ended.stdout
    found: dict[str, Any] = json.loads(ended.stdout)["fault"]
    return found


@pytest.fixture(scope="module")
def locked() -> Iterator[Camera]:
    """Give a camera with sound that asks for a password."""
    with Camera("front-door", user="viewer", password=PASSWORD) as camera:
        yield camera


def url(camera: Camera, password: str) -> str:
    """Return the URL of its picture, with a user."""
    return camera.url("front-door").replace("//", f"//viewer:{password}@")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_is_told_by_its_tracks_and_rates(
    locked: Camera, transport: str, tmp_path: Path
) -> None:
    """Codec, size, frames, keyframes and sound are those that the camera sends, over both ways."""
    source = url(locked, "${CAM_PASSWORD}")
    ended = run(source, "--transport", transport, CAM_PASSWORD=PASSWORD)
    assert (ended.returncode, ended.stderr) == (0, "")
    video, audio = (line for line in ended.stdout.splitlines() if line.startswith("#   "))
    assert video.split()[1:5] == ["video", "H264", "(high)", "640x360"]
    assert "a keyframe every 10 frames" in video
    assert audio.split()[1:3] == ["audio", "AAC"]
    config = tmp_path / "cameras.toml"
    volumes = '[[volumes]]\nid = "main"\npath = "./recordings"\n'
    config.write_text(volumes + ended.stdout)
    assert check(config, {"CAM_PASSWORD": PASSWORD}).exit_code == 0
    (stream,) = tomllib.loads(ended.stdout)["streams"]
    assert (stream["id"], stream["source"]) == ("front-door", source)
    assert stream.get("transport", "tcp") == transport


def test_rates_are_measured(locked: Camera) -> None:
    """Twenty-five frames a second, within what a loaded machine makes of three seconds."""
    video, audio = facts(url(locked, "${CAM_PASSWORD}"), CAM_PASSWORD=PASSWORD)["tracks"]
    assert 15 < video["fps"] < 35
    assert video["declared_fps"] is None or video["declared_fps"] == 25
    assert video["keyframe_distance_frames"] == [10, 10]
    assert 10_000 < video["bitrate_bps"] < 5_000_000
    assert (audio["sample_rate_hz"], audio["channels"]) == (48000, 1)


def test_a_password_in_the_open_is_printed_nowhere(locked: Camera) -> None:
    """Neither as it is nor as it is written, whether it is right or wrong."""
    for password in ("s3cret%2F%40pass", "wr0ng%2Fpass"):
        ended = run(url(locked, password))
        printed = ended.stdout + ended.stderr
        assert "warning: the password stood in the command line" in printed
        assert not any(it in printed for it in (PASSWORD, "s3cret", "wr0ng"))


def test_a_camera_that_refuses_is_told_as_the_manager_would(locked: Camera) -> None:
    """A wrong password, none at all and a wrong path are three things."""
    wrong = fault(url(locked, "wrong"))
    assert (wrong["cause"], wrong["status"]) == ("auth", 401)
    none = fault(locked.url("front-door"))
    assert none["what"] == "the camera asks for a user and a password (RTSP 401)"
    lost = fault(url(locked, "${CAM_PASSWORD}") + "-not", CAM_PASSWORD=PASSWORD)
    assert (lost["cause"], lost["status"]) == ("not-found", 404)


def test_a_dead_port_is_told_by_its_errno() -> None:
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        refused = fault(f"rtsp://127.0.0.1:{taken.getsockname()[1]}/x")
    assert (refused["cause"], refused["code"]) == ("network", "ECONNREFUSED")


def test_a_server_that_never_answers_is_given_up() -> None:
    """Its silence ends the probe within the source's own timeout."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = fault(f"rtsp://127.0.0.1:{deaf.getsockname()[1]}/x")
    assert silent["cause"] == "network"


def test_a_file_is_told_with_the_container_it_needs(tmp_path: Path) -> None:
    """MJPEG and G.711 do not fit MPEG-TS, and the table says what does; its path is absolute."""
    clip = tmp_path / "clip.mkv"
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=10"),
            *("-f", "lavfi", "-i", "sine=sample_rate=8000", "-t", "2"),
            *("-c:v", "mjpeg", "-c:a", "pcm_mulaw", clip),
        ],
        check=True,
        timeout=WITHIN_S,
    )
    found = facts(f"file:{clip}", "--seconds", "1")
    assert [track["codec"] for track in found["tracks"]] == ["JPEG", "PCMU"]
    assert found["tracks"][0]["keyframe_distance_frames"] == [1, 1]
    (stream,) = tomllib.loads(found["toml"])["streams"]
    assert stream == {
        "id": "clip",
        "source": f"file:{clip}",
        "record": {"volumes": ["main"], "container": "mkv"},
    }
    missing = fault(f"file:{tmp_path}/not-there.mp4")
    assert missing["cause"] == "not-found"


def test_the_test_picture_is_a_source_too() -> None:
    """As every source that a configuration takes."""
    found = facts("test:", "--seconds", "1")
    assert [track["codec"] for track in found["tracks"]] == ["H264", "AAC"]
    assert found["tracks"][0]["keyframe_distance_frames"] == [25, 25]


def test_media_that_stops_has_stalled() -> None:
    """A frame in six seconds is no video, though the source says nothing of it."""
    slow = "videotestsrc is-live=true ! x264enc tune=zerolatency ! identity sleep-time=6000000"
    answer = look(Look(source=PipelineSource(description=slow), seconds=1))
    assert isinstance(answer, Fault)
    assert answer.code == "stall"


@contextmanager
def probing(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the command, and give it and the process that it started."""
    command = [str(COMMAND), "probe", *arguments, "--seconds", "60"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            wait_for(lambda: children.read_text().split())
            child = int(children.read_text().split()[0])
            wait_for(lambda: "pipelines.probe" in command_line(child))
            yield process, child
        finally:
            process.kill()


def command_line(pid: int) -> str:
    """Return what `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_crash_costs_the_probe_alone() -> None:
    """The command lives, says what happened, and exits 1."""
    with probing("test:") as (process, child):
        os.kill(child, signal.SIGSEGV)
        out, err = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("test:: crash: crash (SIGSEGV)\n")


def test_no_process_title_holds_the_password(locked: Camera) -> None:
    """What was typed is overwritten, and the probing process was never told it there."""
    with probing(url(locked, "s3cret%2F%40pass")) as (process, child):
        assert "s3cret" not in command_line(process.pid) + command_line(child)
        assert "viewer:${CAM_PASSWORD}@" in command_line(process.pid)
        os.kill(child, signal.SIGKILL)
        process.communicate(timeout=WITHIN_S)
