"""Recordings made by hand: an index and its files, without a manager."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream_manager.clock import SystemClock
from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.store import Mark, Segment, SegmentIndex, SegmentState

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRACKS = (RecordedTrack(kind="video", codec="H264", shape="1280x720"),)
PACKETS = 10
TS = (b"G" + bytes(187)) * PACKETS


def segment(at_s: float, **fields: object) -> Segment:
    """Return a segment of ten seconds that begins `at_s` after noon."""
    began_at = NOON + timedelta(seconds=at_s)
    made = Segment(
        stream="front-door",
        volume="main",
        path="",
        began_at=began_at,
        duration_s=10.0,
        bytes=len(TS),
        container="ts",
        tracks=TRACKS,
        epoch=1,
        sequence=int(at_s / 10) + 1,
        state=SegmentState.WHOLE,
    )
    made = replace(made, **fields)  # type: ignore[arg-type]  # the keys are the fields
    name = f"{made.stream}_{began_at:%Y-%m-%dT%H-%M-%S}.{began_at.microsecond // 1000:03}Z"
    path = f"{made.stream}/{began_at:%Y-%m-%d}/{name}.{made.container}"
    return made if made.path else replace(made, path=path)


class Library:
    """A configuration in `folder` with its state_dir, and one volume "main"."""

    def __init__(self, folder: Path) -> None:
        self.state_dir = folder / "state"
        self.root = folder / "recordings"
        self.config = folder / "library.toml"
        for directory in (self.state_dir, self.root):
            directory.mkdir(parents=True)
        self.config.write_text('[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\n')

    def hold(self, *rows: Segment | Mark, data: bytes = TS) -> None:
        """Put segments, each with a file of `data`, and marks into the index."""
        index = SegmentIndex.open(self.state_dir, clock=SystemClock(), on_fault=print)
        index.know_volume("main", self.root)
        for it in rows:
            if isinstance(it, Mark):
                index.mark(it)
                continue
            index.put(it)
            path = self.root / it.path
            if ".." not in it.path:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        assert asyncio.run(index.written())
        index.close()
