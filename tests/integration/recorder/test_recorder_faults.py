"""What breaks a recording never reaches the source, and is told with path and errno."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream_manager.pipelines import names, teardown
from stream_manager.pipelines.messages import PartFailed, PartGone, SegmentClosed, SegmentOpened

if TYPE_CHECKING:
    from tests.integration.recorder.conftest import Judge, Play, Rig

    from stream_manager.pipelines.spec import Container

pytestmark = pytest.mark.media

LIVE = (
    "videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=240,framerate=100/1"
    " ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 bitrate=20000"
    " ! h264parse ! tee name=h264"
)

_SLOW_BYTES_PER_S = 1_250_000  # half of what LIVE brings


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_a_full_disk_stops_the_recording_alone(
    rig: "Play", judge: "Judge", small_disk: Path, container: "Container"
) -> None:
    """ENOSPC is told once, with its path; what fitted plays; the file cut off is not finished."""
    made = rig(LIVE)
    made.directory = small_disk
    recorder = made.record(container=container, segment_s=0.2)
    made.until(lambda: made.of(PartFailed))
    before = len(made.pushed["h264"])
    made.until(lambda: len(made.pushed["h264"]) > before + 100)
    made.stop(recorder)
    assert _largest_step_s(made) == pytest.approx(0.01, abs=0.001)
    [failure] = made.of(PartFailed)
    assert failure.code == "ENOSPC"
    assert str(small_disk) in failure.text
    assert made.of(PartGone)
    [finished] = made.of(SegmentClosed)
    whole = judge(finished.path)
    assert (whole.frames, whole.errors) == (20, "")
    [cut_off] = [it.path for it in made.of(SegmentOpened) if it.path != finished.path]
    assert judge(cut_off).frames > 0


def test_a_missing_root_is_not_made(rig: "Play") -> None:
    """A volume that is not there is ENOENT, and no directory appears in its place."""
    made = rig(LIVE)
    made.directory = made.directory / "unmounted"
    recorder = made.record()
    made.until(lambda: made.of(PartFailed))
    made.stop(recorder)
    [failure] = made.of(PartFailed)
    assert (failure.origin, failure.code) == ("open", "ENOENT")
    assert str(made.directory) in failure.text
    assert not made.directory.exists()
    assert made.of(PartGone)


def test_a_hung_write_is_left_behind(rig: "Play", monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that never returns costs the source no frame and the stop no more than its grace.

    Its successor may begin beside it; of too many the worker is told to be at its end.
    """
    made = rig(LIVE)
    fifo = made.directory / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(names, "create", lambda *_: (fifo, os.open(fifo, os.O_WRONLY)))
    recorder = made.record()
    made.until(lambda: len(made.pushed["h264"]) > 400)
    made.stop(recorder, 1.0)
    before = len(made.pushed["h264"])
    made.until(lambda: len(made.pushed["h264"]) > before + 50)
    assert _largest_step_s(made) == pytest.approx(0.01, abs=0.001)
    assert not made.of(PartFailed)
    assert [gone.abandoned for gone in made.of(PartGone)] == [True]
    for _ in range(teardown.BEARABLE - 1):
        made.stop(made.record(), 0.0)
    assert not made.of(PartFailed)
    made.stop(made.record(), 0.0)
    [failure] = made.of(PartFailed)
    assert (failure.origin, failure.code) == ("teardown", "deadline")
    assert str(made.directory) in failure.text
    os.close(reader)
    made.until(lambda: not teardown.abandoned)


def test_a_slow_disk_is_told_as_holes(
    rig: "Play", judge: "Judge", monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the queue dropped is missing by name: the rest of the duration is what can be played."""
    made = rig(LIVE.replace("key-int-max=10", "key-int-max=1"))  # each picture plays by itself
    disk = _SlowDisk(made.directory)
    monkeypatch.setattr(names, "create", lambda *_: disk.create())
    recorder = made.record(container="ts", segment_s=60)
    made.until(lambda: len(made.pushed["h264"]) > 700)
    disk.slow = False
    made.stop(recorder)
    assert not made.of(PartFailed)
    [segment] = made.of(SegmentClosed)
    disk.pump.join(10)
    holes = segment.holes
    assert {hole.cause for hole in holes} == {"storage"}
    assert len(holes) <= segment.duration_s + 1
    missing_s = sum(hole.ended_at - hole.began_at for hole in holes)
    assert missing_s > 0.5
    frames = judge(str(disk.path)).frames
    assert segment.duration_s - missing_s == pytest.approx(frames / 100, abs=0.1)


class _SlowDisk:
    """A pipe, read no faster than half of what comes, into a file."""

    def __init__(self, directory: Path) -> None:
        self.slow = True
        self.path = directory / "slow.ts"
        self._fifo = directory / "fifo"
        os.mkfifo(self._fifo)
        self._reader = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reader, True)
        self.pump = threading.Thread(target=self._pump, daemon=True)

    def create(self) -> tuple[Path, int]:
        """Return the pipe's end to write to."""
        writer = os.open(self._fifo, os.O_WRONLY)
        self.pump.start()
        return self._fifo, writer

    def _pump(self) -> None:
        with self.path.open("wb") as file:
            while data := os.read(self._reader, 16384):
                file.write(data)
                if self.slow:
                    time.sleep(len(data) / _SLOW_BYTES_PER_S)
        os.close(self._reader)


def _largest_step_s(made: "Rig") -> float:
    times = made.pushed["h264"]
    return max(after - before for before, after in pairwise(times))
