"""From when to when a file reaches, and what is missing inside it: what the index is told."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from gi.repository import Gst

from stream_manager.pipelines.messages import SegmentOpened

if TYPE_CHECKING:
    from tests.integration.recorder.conftest import Play, Rig

    from stream_manager.pipelines.messages import SegmentClosed

pytestmark = pytest.mark.media

X264 = "x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 ! h264parse"
PICTURE = f"videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=100/1 ! {X264}"
GATED = f"{PICTURE} ! valve name=gate ! tee name=h264"
TONE = (
    "audiotestsrc is-live=true samplesperbuffer=480 ! audio/x-raw,rate=48000,channels=1"
    " ! opusenc frame-size=10 ! opusparse ! tee name=opus"
)


def _drop(made: "Rig", *, sounds: int) -> None:
    """Keep pictures back while so many hundredths of a second of sound pass."""
    gate = made.source.get_by_name("gate")
    assert gate is not None
    gate.set_property("drop", True)
    until = len(made.pushed["opus"]) + sounds
    made.until(lambda: len(made.pushed["opus"]) >= until)
    gate.set_property("drop", False)


def _recorded(made: "Rig", pictures: int) -> None:
    until = len(made.pushed["h264"]) + pictures
    made.until(lambda: len(made.pushed["h264"]) >= until)


def _ended_at(made: "Rig", segment: "SegmentClosed") -> float:
    return made.opened(segment).began_at + segment.duration_s


def test_segments_meet_where_they_were_cut(rig: "Play") -> None:
    """Each but the first goes on from the one before, and begins in UTC where that one ends."""
    made = rig(f"{PICTURE} ! tee name=h264")
    recorder = made.record()
    _recorded(made, 150)
    made.stop(recorder)
    segments = made.segments()
    opened = [made.opened(segment) for segment in segments]
    assert len(segments) >= 4
    assert [it.continues for it in opened] == [False] + [True] * (len(opened) - 1)
    for before, after in pairwise(segments):
        assert _ended_at(made, before) == pytest.approx(made.opened(after).began_at, abs=0.02)
    assert [(track.codec, track.shape) for track in opened[0].tracks] == [("H264", "160x120")]
    assert {it.path for it in made.of(SegmentOpened)} == {it.path for it in segments}


def test_a_first_picture_that_was_long_on_its_way_is_of_the_time_it_was_taken(rig: "Play") -> None:
    """On a busy machine a live source takes a while to push it: the first file still meets."""
    made = rig(f"{PICTURE} ! tee name=h264")
    made.source.set_state(Gst.State.PLAYING)
    recorder = made.recorder()
    recorder.start()
    made.until(lambda: made.source.get_current_running_time() > Gst.SECOND)
    made.release()
    _recorded(made, 150)
    made.stop(recorder)
    segments = made.segments()
    assert len(segments) >= 4
    for before, after in pairwise(segments):
        assert _ended_at(made, before) == pytest.approx(made.opened(after).began_at, abs=0.05)


def test_pictures_that_waited_for_seconds_are_of_the_time_they_came(rig: "Play") -> None:
    """A file made late, its disk having been busy, begins where the one before it ends."""
    made = rig(f"{PICTURE.replace('framerate=100/1', 'framerate=25/1')} ! tee name=h264")
    recorder = made.record(segment_s=1)
    _recorded(made, 30)
    children = recorder.pipeline.children
    pad = next(it for it in children if str(it.get_name()).startswith("proxysrc")).get_static_pad(
        "src"
    )
    assert pad is not None
    hold = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
    probe = pad.add_probe(hold, lambda *_: Gst.PadProbeReturn.OK)
    _recorded(made, 160)
    pad.remove_probe(probe)
    _recorded(made, 5)
    made.stop(recorder)
    segments = made.segments()
    assert len(segments) >= 6
    for before, after in pairwise(segments):
        assert _ended_at(made, before) == pytest.approx(made.opened(after).began_at, abs=0.05)


def test_missing_pictures_are_a_hole_or_end_the_file(rig: "Play") -> None:
    """Where the first picture after the hole is no keyframe, the file goes on around it."""
    made = rig(f"{GATED} {TONE}")
    recorder = made.record(segment_s=60)
    _recorded(made, 50)
    _drop(made, sounds=90)
    _recorded(made, 50)
    made.stop(recorder)
    segments = made.segments()
    holes = [hole for segment in segments for hole in segment.holes]
    between = [
        (_ended_at(made, before), made.opened(after).began_at)
        for before, after in pairwise(segments)
        if not made.opened(after).continues
    ]
    ((began_at, ended_at),) = [(it.began_at, it.ended_at) for it in holes] + between
    steps_s = [later - earlier for earlier, later in pairwise(made.pushed["h264"])]
    assert ended_at - began_at == pytest.approx(max(steps_s) - 0.01, abs=0.03)


@pytest.mark.parametrize("at", ["at a keyframe", "between keyframes"])
def test_time_that_was_only_leapt_over_is_no_hole(rig: "Play", at: str) -> None:
    """The camera's clock moved, its pictures did not stop: durations say what can be seen."""
    made = rig(f"{PICTURE} ! tee name=h264")
    recorder = made.record(segment_s=60)
    _recorded(made, 55)
    _leap(made, after=0 if at == "at a keyframe" else 4)
    _recorded(made, 55)
    pictures = len(made.pushed["h264"])
    made.stop(recorder)
    segments = made.segments()
    assert not any(segment.holes for segment in segments)
    total_s = sum(segment.duration_s for segment in segments)
    assert total_s == pytest.approx(pictures / 100, abs=0.15)


def _leap(made: "Rig", *, after: int) -> None:
    """Let time leap 100 s ahead, at the picture so many after the next keyframe."""
    sink = made.tracks[0].tee.get_static_pad("sink")
    upstream = sink.get_peer() if sink is not None else None
    assert upstream is not None
    since: list[int] = []

    def on_picture(pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            since[:] = [0]
        elif since:
            since[0] += 1
        if since == [after]:
            pad.set_offset(100 * Gst.SECOND)  # counts for this one already
            return Gst.PadProbeReturn.REMOVE
        return Gst.PadProbeReturn.OK

    upstream.add_probe(Gst.PadProbeType.BUFFER, on_picture)
