"""What reached the disk before a SIGKILL plays."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.recorder.conftest import Judge

    from stream_manager.pipelines.spec import Container

pytestmark = pytest.mark.media

CHILD = """
import sys, time
import gi
gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst
from stream_manager.pipelines.record import Recorder
from stream_manager.pipelines.spec import RecordSpec
from stream_manager.pipelines.tracks import SourceTrack

Gst.init(None)
source = Gst.parse_launch(
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=50/1"
    " ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=200 ! h264parse"
    " ! tee name=tee allow-not-linked=true"
)
tee = source.get_by_name("tee")
pad = tee.get_static_pad("sink")
held = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
hold = pad.add_probe(held, lambda *_: Gst.PadProbeReturn.OK)  # the next keyframe is 4 s away
source.set_state(Gst.State.PLAYING)
source.get_state(Gst.CLOCK_TIME_NONE)
Recorder(
    stream="cam",
    spec=RecordSpec(directory=sys.argv[1], container=sys.argv[2]),
    epoch=1,
    sequence=1,
    source=source,
    tracks=[
        SourceTrack(name="v", kind="video", codec="H264", caps=Gst.Caps.new_any(), tee=tee)
    ],
    report=lambda fact: None,
    wall=time.time,
).start()
frames = 0
def on_buffer(pad, info):
    global frames
    frames += 1
    print(frames, flush=True)
    return Gst.PadProbeReturn.OK
pad.add_probe(Gst.PadProbeType.BUFFER, on_buffer)
pad.remove_probe(hold)
GLib.MainLoop().run()
"""


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_all_but_the_last_second_survives_a_kill(
    judge: "Judge", tmp_path: Path, container: "Container"
) -> None:
    """In the middle of a picture group of 4 s, at most a second of pictures is lost."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), container], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    deadline_s = time.monotonic() + 20
    pushed = 0
    for line in child.stdout:
        pushed = int(line)
        if pushed >= 150 or time.monotonic() > deadline_s:
            break
    child.send_signal(signal.SIGKILL)
    pushed = max([pushed, *map(int, child.stdout.read().split())])
    child.wait(10)
    child.stdout.close()
    [path] = tmp_path.rglob(f"*.{container}")
    assert judge(str(path)).frames >= pushed - 50
