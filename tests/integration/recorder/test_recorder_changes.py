"""Sources that change while they are recorded."""

import os
import threading
from typing import TYPE_CHECKING

import pytest
from gi.repository import Gst

from stream_manager.pipelines.messages import PartFailed

if TYPE_CHECKING:
    from conftest import Judge, Play

    from stream_manager.pipelines.spec import Container

pytestmark = pytest.mark.media

RATE = "framerate=100/1"
X264 = "x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 ! h264parse ! tee name=h264"
PICTURE = f"videotestsrc is-live=true ! video/x-raw,width=160,height=120,{RATE} ! {X264}"
TONE = "audiotestsrc name=tone is-live=true samplesperbuffer=480"
SOUND = "audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=10 ! opusparse ! tee name=opus"


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_sound_that_stops_and_comes_back_does_not_hold_up_the_picture(
    rig: "Play", judge: "Judge", container: "Container"
) -> None:
    """Files without the silent track, then with it again; every picture is in one of them."""
    made = rig(f"{PICTURE} {TONE} ! valve name=valve ! {SOUND}")
    valve = made.source.get_by_name("valve")
    assert valve is not None
    recorder = made.record(container=container)
    made.until(lambda: len(made.pushed["h264"]) > 100)
    valve.set_property("drop", True)
    made.until(lambda: len(made.pushed["h264"]) > 400)
    valve.set_property("drop", False)
    made.until(lambda: len(made.pushed["h264"]) > 550)
    made.stop(recorder)
    pictures = len(made.pushed["h264"])
    assert not made.of(PartFailed)
    segments = made.segments()
    verdicts = [judge(segment.path) for segment in segments]
    assert [verdict.errors for verdict in verdicts] == [""] * len(segments)
    assert pictures - 3 <= sum(verdict.frames for verdict in verdicts) <= pictures
    with_sound = ["OPUS" in segment.tracks for segment in segments]
    assert with_sound[0]
    assert not all(with_sound)
    assert with_sound[-1]
    sounds = [at_s for at_s in made.pushed["opus"] if at_s >= made.pushed["h264"][0]]
    print(sum(v.packets for v in verdicts), len(sounds))
    assert sum(v.packets for v in verdicts) >= len(sounds) - 3


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_another_resolution_begins_another_file(
    rig: "Play", judge: "Judge", container: "Container"
) -> None:
    """Changed caps cut at once, whatever the segment's length, and every file plays."""
    made = rig(
        f"videotestsrc is-live=true ! capsfilter name=size caps=video/x-raw,width=160,height=120,{RATE}"
        f" ! {X264}"
    )
    size = made.source.get_by_name("size")
    assert size is not None
    recorder = made.record(container=container, segment_s=60)
    made.until(lambda: len(made.pushed["h264"]) > 55)
    size.set_property("caps", Gst.Caps.from_string(f"video/x-raw,width=320,height=240,{RATE}"))
    made.until(lambda: len(made.pushed["h264"]) > 120)
    made.stop(recorder)
    pictures = len(made.pushed["h264"])
    assert not made.of(PartFailed)
    verdicts = [judge(segment.path) for segment in made.segments()]
    assert len(verdicts) == 2
    assert [verdict.errors for verdict in verdicts] == ["", ""]
    assert pictures - 3 <= sum(verdict.frames for verdict in verdicts) <= pictures


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("leap_s", [-0.9, -100, 100])
def test_timestamps_that_leap_do_not_end_the_recording(
    rig: "Play", judge: "Judge", container: "Container", leap_s: int
) -> None:
    """Running time goes back or far ahead in both tracks; the recording goes on in a new file."""
    made = rig(f"{PICTURE} {TONE} ! {SOUND}")
    recorder = made.record(container=container, segment_s=60)
    for tee in ("h264", "opus"):
        pad = made.source.get_by_name(tee).get_static_pad("sink")
        pad.set_offset(200 * Gst.SECOND)
    made.until(lambda: len(made.pushed["h264"]) > 150)
    for tee in ("h264", "opus"):
        pad = made.source.get_by_name(tee).get_static_pad("sink")
        pad.set_offset(int((200 + leap_s) * Gst.SECOND))
    made.until(lambda: len(made.pushed["h264"]) > 400)
    made.stop(recorder)
    assert not made.of(PartFailed)
    verdicts = [judge(segment.path) for segment in made.segments()]
    for s, v in zip(made.segments(), verdicts):
        print(s.duration_s, v)
    print(len(made.pushed["h264"]))
    assert sum(v.frames for v in verdicts) > len(made.pushed["h264"]) - 24


def test_a_hundred_rebuilds_and_a_thousand_cuts_leave_nothing_behind(rig: "Play") -> None:
    """Descriptors and threads are as before, and every restart recorded."""
    made = rig(PICTURE.replace("key-int-max=10", "key-int-max=1"))
    made.stop(made.record(segment_s=0.01))
    before = (
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(os.listdir("/proc/self/task")),
    )
    import resource

    r0 = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for epoch in range(2, 102):
        seen = len(made.segments())
        recorder = made.recorder(segment_s=0.01, epoch=epoch)
        recorder.start()
        made.until(lambda seen=seen: len(made.segments()) > seen + 5)
        made.stop(recorder)
    assert not made.of(PartFailed)
    print(len(made.segments()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - r0)
    after = (
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(os.listdir("/proc/self/task")),
    )
    made.until(lambda: len(os.listdir("/proc/self/task")) <= before[2], 5)
    assert after == before
