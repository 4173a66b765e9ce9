"""Every frame and every audio buffer is in exactly one file, and each file plays alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream_manager.pipelines.messages import PartFailed

if TYPE_CHECKING:
    from tests.integration.recorder.conftest import Judge, Play

    from stream_manager.pipelines.spec import Container

pytestmark = pytest.mark.media

SIZE = "video/x-raw,width=160,height=120,framerate=100/1"
PICTURE = f"videotestsrc is-live=true num-buffers=120 ! {SIZE}"
X264 = "x264enc speed-preset=ultrafast key-int-max=10"
B_FRAMES = "bframes=2 b-adapt=false ! video/x-h264,profile=main"
X265 = "x265enc speed-preset=ultrafast key-int-max=10"
TONE = "audiotestsrc is-live=true samplesperbuffer=480 num-buffers=120 ! audio/x-raw,rate=48000"

VIDEO = {
    "h264": f"{PICTURE} ! {X264} tune=zerolatency ! h264parse ! tee name=h264",
    "h264-b": f"{PICTURE} ! {X264} {B_FRAMES} ! h264parse ! tee name=h264",
    "h265": f"{PICTURE} ! {X265} tune=zerolatency ! h265parse ! tee name=h265",
    "h265-b": f"{PICTURE} ! {X265} option-string=bframes=2:open-gop=0 ! h265parse ! tee name=h265",
    "jpeg": f"{PICTURE} ! jpegenc ! tee name=jpeg",
}
AUDIO = {
    "silent": "",
    "aac": f"{TONE},channels=1 ! avenc_aac ! aacparse ! tee name=aac",
    "opus": f"{TONE},channels=1 ! opusenc frame-size=10 ! opusparse ! tee name=opus",
    "pcmu": f"{TONE},channels=1 ! mulawenc ! tee name=pcmu",
    "pcma": f"{TONE},channels=1 ! alawenc ! tee name=pcma",
    "pcm": f"{TONE},channels=2,format=S16LE ! tee name=pcm",
}


@pytest.mark.parametrize(
    ("picture", "sound", "container"),
    [
        ("h264", "silent", "ts"),
        ("h264", "silent", "mkv"),
        ("h264", "silent", "mp4"),
        ("h264", "aac", "ts"),
        ("h264", "aac", "mkv"),
        ("h264", "aac", "mp4"),
        ("h264-b", "opus", "ts"),
        ("h264-b", "opus", "mkv"),
        ("h264-b", "opus", "mp4"),
        ("h265", "aac", "ts"),
        ("h265", "opus", "mkv"),
        ("h265", "aac", "mp4"),
        ("h265-b", "silent", "ts"),
        ("h265-b", "silent", "mkv"),
        ("h265-b", "silent", "mp4"),
        ("jpeg", "pcm", "auto"),
        ("jpeg", "pcmu", "mkv"),
        ("h264", "pcma", "auto"),
    ],
)
def test_nothing_is_lost_at_cuts(
    rig: "Play", judge: "Judge", picture: str, sound: str, container: "Container"
) -> None:
    """A recording cut into segments holds what was pushed, no more and no less."""
    made = rig(f"{VIDEO[picture]} {AUDIO[sound]}")
    recorder = made.record(container=container)
    made.until(lambda: all(made.ended.values()))
    made.stop(recorder)
    pictures = made.pushed[picture.removesuffix("-b")]
    sounds = [at_s for at_s in made.pushed.get(sound, []) if at_s >= min(pictures)]
    segments = made.segments()
    verdicts = [judge(segment.path) for segment in segments]
    assert not made.of(PartFailed)
    assert len(segments) > 1
    assert [segment.sequence for segment in segments] == [*range(1, len(segments) + 1)]
    assert [verdict.errors for verdict in verdicts] == [""] * len(segments)
    assert sum(verdict.frames for verdict in verdicts) == len(pictures)
    assert sum(verdict.packets for verdict in verdicts) == len(sounds)
    assert sum(segment.duration_s for segment in segments) == pytest.approx(1.2, abs=0.011)
    assert all(segment.bytes == Path(segment.path).stat().st_size for segment in segments)
