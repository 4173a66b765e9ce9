"""What the index of recordings holds: every file with its extent, and why there is none at times.

Facts alone; gaps are what lies between the segments (`recordings.gaps`).
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.store.rows import Key, SqlValue, from_text, to_text, to_text_or_none

COLUMNS = (
    "volume, path, stream, began_at, ended_at, duration_s, bytes, container, tracks, epoch,"
    " sequence, continues, holes, state"
)


class SegmentState(Enum):
    """What is known of a file."""

    OPEN = "open"  # being written
    WHOLE = "whole"  # finished
    TRUNCATED = "truncated"  # cut off: its duration is what can be played
    UNREADABLE = "unreadable"  # nothing of it can be played
    MISSING = "missing"  # it was recorded, and the file is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One recorded file. `path` is relative to its volume; `began_at` is in UTC.

    duration_s: of its media, first picture to end of the last, holes included; None while open.
    bytes: its size, None while open. epoch: the recorder's; 0, like `sequence`, for a file that
    was found and not announced. continues: no picture is missing between the segment before
    (the same epoch's, one sequence number less) and this one. holes: where pictures are missing,
    with the cause: "stall" of the source, or "storage" that took them too slowly.
    """

    stream: str
    volume: str
    path: str
    began_at: datetime
    duration_s: float | None = None
    bytes: int | None = None
    container: str
    tracks: tuple[RecordedTrack, ...] = ()
    epoch: int = 0
    sequence: int = 0
    continues: bool = False
    holes: tuple[tuple[datetime, datetime, str], ...] = ()
    state: SegmentState = SegmentState.OPEN

    @property
    def key(self) -> tuple[str, str]:
        """What names it: its volume, and its path there."""
        return self.volume, self.path

    @property
    def ended_at(self) -> datetime | None:
        """When its last picture ended; None while it is open."""
        if self.duration_s is None:
            return None
        return self.began_at + timedelta(seconds=self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """From `at` on nothing is recorded, because of `cause`; or, "starting", it is tried again.

    cause: a Cause's value or one of "stopped", "restarted", "manager". code: more of it. outage_s:
    how long the outage was that began so, None while it lasts or where it is none.
    """

    stream: str
    at: datetime
    cause: str
    code: str = ""
    outage_s: float | None = None


def key_of(segment: Segment) -> Key:
    """Return what a segment's row is known by until it is on the disk."""
    return "segments", *segment.key


def to_values(it: Segment) -> tuple[SqlValue, ...]:
    """Return a segment's row, in the order of COLUMNS."""
    return (
        it.volume,
        it.path,
        it.stream,
        to_text(it.began_at),
        to_text_or_none(it.ended_at),
        it.duration_s,
        it.bytes,
        it.container,
        json.dumps([[track.kind, track.codec, track.shape] for track in it.tracks]),
        it.epoch,
        it.sequence,
        it.continues,
        json.dumps([[to_text(began), to_text(ended), cause] for began, ended, cause in it.holes]),
        it.state.value,
    )


def segment_of(values: tuple[object, ...]) -> Segment:
    """Return the segment of one row of COLUMNS."""
    it: Mapping[str, object] = dict(zip(COLUMNS.split(", "), values, strict=True))
    duration_s, size = it["duration_s"], it["bytes"]
    return Segment(
        stream=str(it["stream"]),
        volume=str(it["volume"]),
        path=str(it["path"]),
        began_at=from_text(str(it["began_at"])),
        duration_s=None if duration_s is None else float(str(duration_s)),
        bytes=None if size is None else int(str(size)),
        container=str(it["container"]),
        tracks=tuple(
            RecordedTrack(kind=kind, codec=codec, shape=shape)
            for kind, codec, shape in json.loads(str(it["tracks"]))
        ),
        epoch=int(str(it["epoch"])),
        sequence=int(str(it["sequence"])),
        continues=bool(it["continues"]),
        holes=tuple(
            (from_text(began), from_text(ended), cause)
            for began, ended, cause in json.loads(str(it["holes"]))
        ),
        state=SegmentState(it["state"]),
    )


def marks_of(found: sqlite3.Cursor) -> Iterator[Mark]:
    """Yield the marks of rows: stream, at, cause, code, outage_s."""
    for stream, at, cause, code, outage_s in found:
        yield Mark(stream=stream, at=from_text(at), cause=cause, code=code, outage_s=outage_s)
