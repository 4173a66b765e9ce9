"""Sources that change while they are recorded."""

import gc
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gi.repository import Gst

from stream_manager.pipelines.feed import Feed
from stream_manager.pipelines.messages import PartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.recorder.conftest import Judge, Play, Rig

    from stream_manager.pipelines.spec import Container

pytestmark = pytest.mark.media

BYTES = "video/x-h264,stream-format=byte-stream,alignment=au"
PARSER = f"h264parse name=parser ! {BYTES}"
RATE = "framerate=100/1"
X264 = "x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 ! h264parse ! tee name=h264"
PICTURE = f"videotestsrc is-live=true ! video/x-raw,width=160,height=120,{RATE} ! {X264}"
TONE = "audiotestsrc name=tone is-live=true samplesperbuffer=480"
SOUND = (
    "audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=10 ! opusparse"
    " ! valve name=valve ! tee name=opus"
)


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_sound_that_stops_and_comes_back_does_not_hold_up_the_picture(
    rig: "Play", judge: "Judge", container: "Container"
) -> None:
    """Files without the silent track, then with it again; every picture is in one of them."""
    made = rig(f"{PICTURE} {TONE} ! {SOUND}")
    valve = made.source.get_by_name("valve")
    assert valve is not None
    recorder = made.record(container=container)
    made.until(lambda: len(made.pushed["h264"]) > 100)
    valve.set_property("drop", True)
    made.until(lambda: len(made.pushed["h264"]) > 400)
    valve.set_property("drop", False)
    made.until(lambda: len(made.pushed["h264"]) > 550)
    begin_s = made.pushed["h264"][0]
    pictures = made.passed("h264")
    sounds = sum(at_s >= begin_s for at_s in made.pushed["opus"])
    made.stop(recorder)
    assert not made.of(PartFailed)
    segments = made.segments()
    verdicts = [judge(segment.path) for segment in segments]
    assert [verdict.errors for verdict in verdicts] == [""] * len(segments)
    assert sum(verdict.frames for verdict in verdicts) >= pictures
    with_sound = [
        "OPUS" in [track.codec for track in made.opened(segment).tracks] for segment in segments
    ]
    assert with_sound[0]
    assert not all(with_sound)
    assert with_sound[-1]
    # Between the sound's return and the next keyframe (10 pictures) no file takes it.
    assert sum(verdict.packets for verdict in verdicts) >= sounds - 14


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_another_resolution_begins_another_file(
    rig: "Play", judge: "Judge", container: "Container"
) -> None:
    """Changed caps cut at once, whatever the segment's length, and every file plays."""
    made = rig(
        "videotestsrc is-live=true"
        f" ! capsfilter name=size caps=video/x-raw,width=160,height=120,{RATE} ! {X264}"
    )
    size = made.source.get_by_name("size")
    assert size is not None
    recorder = made.record(container=container, segment_s=60)
    made.until(lambda: len(made.pushed["h264"]) > 55)
    size.set_property("caps", Gst.Caps.from_string(f"video/x-raw,width=320,height=240,{RATE}"))
    made.until(lambda: len(made.pushed["h264"]) > 120)
    pictures = made.passed("h264")
    made.stop(recorder)
    assert not made.of(PartFailed)
    verdicts = [judge(segment.path) for segment in made.segments()]
    assert len(verdicts) == 2
    assert [verdict.errors for verdict in verdicts] == ["", ""]
    assert sum(verdict.frames for verdict in verdicts) >= pictures


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("leap_s", [-100, 100])
def test_timestamps_that_leap_do_not_end_the_recording(
    rig: "Play", judge: "Judge", container: "Container", leap_s: int
) -> None:
    """Running time goes back or far ahead in both tracks; the recording goes on in a new file."""
    made = rig(f"{PICTURE} {TONE} ! {SOUND}")
    _shift(made, 200)
    recorder = made.record(container=container, segment_s=60)
    made.until(lambda: len(made.pushed["h264"]) > 150)
    _shift(made, 200 + leap_s)
    made.until(lambda: len(made.pushed["h264"]) > 300)
    pictures, sounds = made.passed("h264"), made.passed("opus")
    made.stop(recorder)
    assert not made.of(PartFailed)
    verdicts = [judge(segment.path) for segment in made.segments()]
    assert [verdict.errors for verdict in verdicts] == [""] * len(verdicts)
    assert len(verdicts) >= 2
    # What comes between a leap back and the next keyframe (10 pictures) is in no file.
    assert sum(verdict.frames for verdict in verdicts) >= pictures - 14
    assert sum(verdict.packets for verdict in verdicts) >= sounds - 30


def _shift(made: "Rig", by_s: int) -> None:
    """Move the running time of what each tee gets from now on."""
    for track in made.tracks:
        pad = track.tee.get_static_pad("sink")
        assert pad is not None
        upstream = pad.get_peer()
        assert upstream is not None
        upstream.set_offset(by_s * Gst.SECOND)


def test_a_hundred_restarts_leave_nothing_behind(rig: "Play") -> None:
    """Each restart records; one descriptor leaked by each would show as a hundred."""
    made = rig(PICTURE.replace("key-int-max=10", "key-int-max=1"))
    made.stop(made.record(segment_s=0.01))
    made.until(lambda: threading.active_count() == 1)
    before = _descriptors()
    for epoch in range(2, 102):
        seen = len(made.segments())
        recorder = made.recorder(segment_s=0.01, epoch=epoch)
        recorder.start()
        made.until(partial(_has_more_than, made, seen + 3))
        made.stop(recorder)
    assert not made.of(PartFailed)
    made.until(lambda: threading.active_count() == 1)
    assert _descriptors() < before + 20


def _has_more_than(made: "Rig", segments: int) -> bool:
    return len(made.segments()) > segments


def _descriptors() -> int:
    gc.collect()  # a stopped recorder is a cycle of plain objects
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_keyframes_without_a_time_do_not_hold_up_the_recording(
    rig: "Play", judge: "Judge", container: "Container"
) -> None:
    """Parsers make such where parameter sets came in a buffer of their own."""
    made = rig(f"{PICTURE.replace('h264parse', PARSER)} {TONE} ! {SOUND}")
    if container == "ts":  # recorded as it is, without a parser that would give it some time
        _describe(made)
    recorder = made.record(container=container)
    _recorded(made, 45)
    _strip_keyframes(made)
    made.until(lambda: len(made.segments()) >= 4)
    pictures = made.passed("h264")
    made.stop(recorder)
    assert not made.of(PartFailed)
    verdicts = [judge(segment.path) for segment in made.segments()]
    assert [verdict.errors for verdict in verdicts] == [""] * len(verdicts)
    assert sum(verdict.frames for verdict in verdicts) >= pictures


def test_sound_alone_is_no_progress_while_pictures_wait(
    rig: "Play", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A muxer that leaves the picture aside for ever is found, though bytes are written."""
    monkeypatch.setattr(Feed, "stamped", lambda *_: None)
    made = rig(f"{PICTURE.replace('h264parse', PARSER)} {TONE} ! {SOUND}")
    _describe(made)
    recorder = made.record(container="ts")
    _recorded(made, 45)
    assert recorder.progress().bytes
    _strip_keyframes(made)
    written = made.directory.rglob("*.ts")
    made.until(lambda: _same_for(made, 60, lambda: recorder.progress().bytes))
    newest = max(written)
    before = newest.stat().st_size
    _recorded(made, 200)
    assert newest.stat().st_size > before
    made.stop(recorder)


def _describe(made: "Rig") -> None:
    """Let the recorder know the picture's caps: those that MPEG-TS takes as they are."""
    caps = Gst.Caps.from_string(BYTES)
    assert caps is not None
    made.tracks[0] = replace(made.tracks[0], caps=caps)


def _same_for(made: "Rig", pictures: int, value: "Callable[[], int]") -> bool:
    """Tell whether a value stays what it is while so many pictures come."""
    before = value()
    _recorded(made, pictures)
    return value() == before


def _recorded(made: "Rig", pictures: int) -> None:
    until = len(made.pushed["h264"]) + pictures
    made.until(lambda: len(made.pushed["h264"]) >= until)


def _strip_keyframes(made: "Rig") -> None:
    """Take the times from all keyframes from now on."""
    parser = made.source.get_by_name("parser")
    pad = None if parser is None else parser.get_static_pad("src")
    assert pad is not None

    def on_picture(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            buffer.pts = buffer.dts = Gst.CLOCK_TIME_NONE
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER, on_picture)
