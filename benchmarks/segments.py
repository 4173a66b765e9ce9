"""How long the index of recordings takes: verifying, exporting, and being made anew."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from stream_manager.clock import SystemClock
from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.recordings import IndexKeeper
from stream_manager.store import Segment, SegmentIndex, SegmentState, read_index, read_segments

BEGAN_AT = datetime(2026, 1, 31, tzinfo=UTC)
VERIFY_WITHIN_S = 10.0
SEGMENT_S = 10.0
COMMAND = Path(sys.executable).parent / "stream-manager"


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Verify 10,000 files, export a gigabyte of them, and lose the index of 200."""
    files, gigabytes, lost, repeats = (1000, 0.1, 20, 1) if quick else (10_000, 1.0, 200, 3)
    with tempfile.TemporaryDirectory(prefix="stream-manager-bench-") as name:
        folder = Path(name)
        tell("segments: making files")
        small = _clip(folder / "small.ts", "200k")
        large = _clip(folder / "large.ts", "16M")
        exported = int(gigabytes * 1e9 / large.stat().st_size) + 1
        many = _Library(folder / "many", small, files)
        big = _Library(folder / "big", large, exported)
        tell(f"segments: verifying {files} files")
        verify_s = [many.seconds("verify") for _ in range(repeats)]
        tell(f"segments: exporting {exported * large.stat().st_size / 1e9:.1f} GB, and copying it")
        export_s, copy_s = [], []
        for _ in range(repeats):
            export_s.append(big.export_s())
            copy_s.append(big.copy_s())
        tell(f"segments: making the index of {lost} files anew")
        anew_s = _Library(folder / "lost", small, lost).anew_s()
        small_bytes, large_bytes = small.stat().st_size, large.stat().st_size
    size = exported * large_bytes
    return Subject(
        title=f"Recordings: {files:,} files verified, {size / 1e9:.1f} GB exported",
        figures=(
            Figure(
                name="segments verify",
                unit="s",
                samples=tuple(verify_s),
                median_at_most=VERIFY_WITHIN_S,
            ),
            Figure(name="segments export, MPEG-TS", unit="MB/s", samples=_rates(size, export_s)),
            Figure(name="cp and sync of the same files", unit="MB/s", samples=_rates(size, copy_s)),
            Figure(
                name="export / cp, time",
                unit="x",
                samples=tuple(a / b for a, b in zip(export_s, copy_s, strict=True)),
            ),
            figure_in_ms(f"index made anew, {lost} files, per file", [anew_s / lost]),
        ),
        notes=(
            f"Verified are files of {small_bytes:,} bytes in the page cache, by the whole command.",
            f"Exported are {exported} files of {large_bytes:,} bytes in the page cache.",
            "An export is joined by ffmpeg and synced; it and all its files have their SHA-256.",
            "Made anew: a keeper that finds files and no index has each measured.",
        ),
    )


def _rates(size: int, seconds: Sequence[float]) -> tuple[float, ...]:
    return tuple(size / it / 1e6 for it in seconds)


class _Library:
    """An index and so many copies of a file, each of ten seconds, one after the other."""

    def __init__(self, folder: Path, clip: Path, count: int) -> None:
        self._folder = folder
        self._state_dir = folder / "state"
        self._root = folder / "recordings"
        self._config = folder / "bench.toml"
        self._state_dir.mkdir(parents=True)
        self._config.write_text('[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\n')
        data = clip.read_bytes()
        index = SegmentIndex.open(self._state_dir, clock=SystemClock(), on_fault=print)
        index.know_volume("main", self._root)
        segment = Segment(
            stream="camera",
            volume="main",
            path="",
            began_at=BEGAN_AT,
            duration_s=SEGMENT_S,
            bytes=len(data),
            container="ts",
            tracks=(RecordedTrack(kind="video", codec="H264", shape="640x360"),),
            epoch=1,
            state=SegmentState.WHOLE,
        )
        for number in range(count):
            at = BEGAN_AT + timedelta(seconds=SEGMENT_S * number)
            path = f"camera/{at:%Y-%m-%d}/camera_{at:%Y-%m-%dT%H-%M-%S}.000Z.ts"
            index.put(
                replace(segment, path=path, began_at=at, sequence=number + 1, continues=number > 0)
            )
            (self._root / path).parent.mkdir(parents=True, exist_ok=True)
            (self._root / path).write_bytes(data)
        asyncio.run(index.written())
        index.close()
        os.sync()

    def seconds(self, *arguments: str) -> float:
        """Return how long a command of `segments` takes. Raises CalledProcessError."""
        began_s = time.monotonic()
        command = [str(COMMAND), "segments", *arguments, "--config", str(self._config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
        return time.monotonic() - began_s

    def export_s(self) -> float:
        """Return how long all of it takes to become one file."""
        file = self._folder / "out.ts"
        times = ("--from", "2026-01-31T00:00Z", "--to", "2026-02-28T00:00Z")
        taken_s = self.seconds("export", "camera", *times, "-o", str(file))
        file.unlink()
        file.with_name("out.ts.json").unlink()
        return taken_s

    def copy_s(self) -> float:
        """Return how long cp takes for all of it, until it is on disk."""
        copy = self._folder / "copy"
        began_s = time.monotonic()
        subprocess.run(["cp", "-r", self._root, copy], check=True, timeout=300)
        subprocess.run(["sync", "-f", copy], check=True, timeout=300)
        taken_s = time.monotonic() - began_s
        subprocess.run(["rm", "-r", copy], check=True, timeout=300)
        return taken_s

    def anew_s(self) -> float:
        """Lose the index, and return how long a manager's keeper takes to have all of it again."""
        count = len(list(self._root.glob("*/*/*")))
        for path in self._state_dir.iterdir():
            path.unlink()
        return asyncio.run(self._keep_until(count))

    async def _keep_until(self, count: int) -> float:
        index = SegmentIndex.open(self._state_dir, clock=SystemClock(), on_fault=print)
        keeper = IndexKeeper(index, clock=SystemClock())
        began_s = time.monotonic()
        keeper.configure({"main": self._root})
        running = asyncio.create_task(keeper.audit.run())
        while await index.written():
            if len(read_index(self._state_dir, read_segments)) >= count:
                break
            await asyncio.sleep(0.01)
        taken_s = time.monotonic() - began_s
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await asyncio.sleep(0.1)  # for the pipes of the process that has read the files to close
        index.close()
        return taken_s


def _clip(path: Path, rate: str) -> Path:
    """Make ten seconds of 640x360 at 25 pictures a second, at a constant bit rate."""
    source = ("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={SEGMENT_S:g}")
    form = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "0", "-b:v", rate)
    constant = ("-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr")
    subprocess.run(
        ["ffmpeg", "-v", "error", *source, *form, *constant, path], check=True, timeout=120
    )
    return path
