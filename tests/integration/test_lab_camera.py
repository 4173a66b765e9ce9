import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Literal

import gi
import pytest
from tests.integration.wire import DEADLINE_S, Conversation

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 - versions must be required first

from stream_manager.errors import UsageError  # noqa: E402
from stream_manager.lab.camera import Camera  # noqa: E402
from stream_manager.lab.picture import Picture  # noqa: E402

pytestmark = pytest.mark.media

SILENCE_S = 0.5
PLAIN = Picture()


def ffmpeg(url: str, *options: str, transport: str = "tcp") -> list[str]:
    """Return the command of a client that decodes what it gets."""
    return ["ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", url, *options]


def numbers(url: str, count: int, *, transport: str = "tcp") -> list[int]:
    """Decode `count` pictures and read the number in each."""
    options = ("-frames:v", str(count), "-pix_fmt", "gray", "-fps_mode", "passthrough")
    command = ffmpeg(url, *options, "-f", "rawvideo", "-", transport=transport)
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=True)
    size = PLAIN.width * PLAIN.height
    return [
        PLAIN.number(done.stdout[start : start + size])
        for start in range(0, len(done.stdout), size)
    ]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("bind", ["127.0.0.1", "::1"])
def test_every_picture_arrives_once_and_in_order(bind: str, transport: str) -> None:
    """A client decodes from the first keyframe on, and misses nothing."""
    with Camera("cam", bind=bind) as camera:
        assert numbers(camera.url("cam"), 60, transport=transport) == list(range(60))


def test_each_client_has_its_own_beginning(camera: Camera) -> None:
    """Two clients at once both begin at the first picture."""
    options = ("-t", "2", "-map", "0", "-f", "null", "-")
    with subprocess.Popen(ffmpeg(camera.url("cam"), *options)) as other:
        assert numbers(camera.url("cam"), 30) == list(range(30))
        assert other.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtspsrc_gets_picture_and_sound(camera: Camera, transport: str) -> None:
    """The product's own client receives both tracks, and as much of each as the time brings."""
    Gst.init(None)
    arrived: queue.Queue[str] = queue.Queue()
    pipeline = Gst.Pipeline.new(None)
    source = Gst.ElementFactory.make("rtspsrc")
    assert source is not None
    source.set_property("location", camera.url("cam"))
    Gst.util_set_object_arg(source, "protocols", transport)
    source.set_property("latency", 200)
    source.connect("pad-added", count_units, pipeline, arrived)
    pipeline.add(source)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        seen: Counter[str] = Counter()
        while min(seen["video"], seen["audio"]) < 50:
            seen[arrived.get(timeout=DEADLINE_S)] += 1
    finally:
        pipeline.set_state(Gst.State.NULL)
    # 25 pictures and 46.9 frames of sound a second, and 200 ms of jitter buffer
    assert abs(seen["audio"] - 1.875 * seen["video"]) < 20


def count_units(
    _source: Gst.Element, pad: Gst.Pad, pipeline: Gst.Pipeline, arrived: "queue.Queue[str]"
) -> None:
    """Depayload what a pad of rtspsrc brings and tell the kind of each unit."""
    caps = pad.get_current_caps()
    assert caps is not None
    kind = caps.get_structure(0).get_string("media")
    assert kind is not None
    depay = {
        "video": "rtph264depay ! h264parse ! video/x-h264,alignment=au",
        "audio": "rtpmp4gdepay",
    }
    branch = Gst.parse_bin_from_description(
        f"{depay[kind]} ! fakesink sync=false name=sink signal-handoffs=true", True
    )
    sink = branch.get_by_name("sink")
    entry = branch.get_static_pad("sink")
    assert sink is not None
    assert entry is not None
    sink.connect("handoff", lambda *_: arrived.put(kind))
    pipeline.add(branch)
    branch.sync_state_with_parent()
    pad.link(entry)


@pytest.mark.parametrize(
    ("name", "video", "audio", "codecs"),
    [
        ("b-frames.mp4", "libx264 -bf 2 -x264-params slices=4", "aac", {"h264", "aac"}),
        ("clip.ts", "libx264", "aac", {"h264", "aac"}),
        ("h265.mp4", "libx265 -x265-params log-level=none", "libopus", {"hevc", "opus"}),
        ("jpeg.mkv", "mjpeg -huffman default", "pcm_alaw -ar 8000", {"mjpeg", "pcm_alaw"}),
        ("silent.mp4", "libx264", "", {"h264"}),
    ],
)
def test_a_clip_is_sent_as_it_is_and_looped(
    tmp_path: Path, name: str, video: str, audio: str, codecs: set[str]
) -> None:
    """Each codec arrives unchanged, decodes without a complaint, and time goes on past the end."""
    clip = tmp_path / name
    inputs = "-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine=sample_rate=48000"
    sound = f"-c:a {audio}" if audio else "-an"
    encode = f"ffmpeg -v error {inputs} -t 1 -pix_fmt yuv420p -strict -1 -c:v {video} {sound}"
    subprocess.run([*encode.split(), str(clip)], timeout=DEADLINE_S, check=True)
    with Camera("cam", clip=clip) as camera:
        look = "ffprobe -v error -rtsp_transport tcp -read_intervals %+3 -of compact"
        entries = "stream=codec_name:packet=pts_time,codec_type"
        shown = subprocess.run(
            [*look.split(), "-show_entries", entries, camera.url("cam")],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        assert set(re.findall(r"codec_name=(\w+)", shown.stdout)) == codecs
        stamps = sorted(map(float, re.findall(r"video\|pts_time=([\d.]+)", shown.stdout)))
        assert stamps[-1] > 2.5
        assert all(0.02 < later - earlier < 0.06 for earlier, later in pairwise(stamps))
        decoded = subprocess.run(
            ffmpeg(camera.url("cam"), "-t", "2.5", "-map", "0", "-f", "null", "-"),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        assert decoded.stderr == ""


def test_a_reboot_returns_at_once_and_the_port_stays(camera: Camera) -> None:
    """Nobody answers meanwhile; then the same URL sends from its beginning."""
    url, port = camera.url("cam"), camera.port
    camera.reboot(after_s=0.5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    camera.wait_until_ready()
    assert camera.url("cam") == url
    assert numbers(url, 10) == list(range(10))


def test_a_dead_camera_starts_again(camera: Camera) -> None:
    """A client of the old one sees the end of its connection; the new one has the old port."""
    with Conversation(camera.url("cam")) as client:
        client.play()
        camera.die()
        client.read_to_end()
    camera.start()
    assert numbers(camera.url("cam"), 10) == list(range(10))


def test_a_frozen_camera_keeps_its_connection_and_sends_nothing(camera: Camera) -> None:
    """Bytes stop, the connection does not, and after the thaw they flow on it again."""
    with Conversation(camera.url("cam")) as client:
        client.play()
        camera.freeze()
        client.socket.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            client.read_to_end()
        client.socket.settimeout(DEADLINE_S)
        camera.thaw()
        assert client.socket.recv(65536)


def test_a_camera_that_is_thawed_sends_whole_pictures(camera: Camera) -> None:
    """After a long freeze it goes on from the present at a keyframe, and all of it decodes."""
    options = ("-t", "4", "-map", "0:v", "-f", "null", "-")
    with subprocess.Popen(
        ffmpeg(camera.url("cam"), *options), stderr=subprocess.PIPE, text=True
    ) as client:
        assert numbers(camera.url("cam"), 10)  # so that the other one plays by now
        camera.freeze()
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(3 * SILENCE_S)
        camera.thaw()
        assert client.communicate(timeout=DEADLINE_S)[1] == ""


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_password_is_asked_for(auth: Literal["basic", "digest"]) -> None:
    """No password and a wrong one give 401; the right one plays."""
    with Camera("cam", user="viewer", password="secret", auth=auth) as camera:
        with Conversation(camera.url("cam")) as client:
            answer = client.ask("DESCRIBE")
            assert " 401 " in answer
            assert f'WWW-Authenticate: {auth.title()} realm="' in answer
        wrong = subprocess.run(
            ffmpeg(camera.url("cam").replace("//", "//viewer:wrong@"), "-f", "null", "-"),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert "401 Unauthorized" in wrong.stderr
        assert numbers(camera.url("cam").replace("//", "//viewer:secret@"), 10) == list(range(10))


def test_what_can_not_be_served_is_said_in_one_line(camera: Camera, tmp_path: Path) -> None:
    """A port in use, a missing clip and one without pictures: an error that names the thing."""
    with pytest.raises(UsageError, match=rf"^camera: .*{camera.port}.*port.*$"):
        Camera("cam", port=camera.port).start()
    with pytest.raises(UsageError, match=r"^camera: .*absent\.mp4.*$"):
        Camera("cam", clip=tmp_path / "absent.mp4").start()
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(UsageError, match=r"^camera: .*text\.mp4.*$"):
        Camera("cam", clip=text).start()


OWNER = """
import sys
from stream_manager.lab.camera import Camera
camera = Camera("cam")
camera.start()
if sys.argv[1] == "frozen":
    camera.freeze()
print(camera.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["running", "frozen"])
def test_a_camera_ends_with_its_owner(state: str) -> None:
    """Whoever started a camera may be killed: the camera does not stay, not even a frozen one."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        camera = os.pidfd_open(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
        readable, _, _ = select.select([camera], [], [], DEADLINE_S)
        os.close(camera)
    assert readable
