"""What the index says of a range of time, for those who read it beside or without a manager."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stream_manager.errors import OutsideError, UsageError
from stream_manager.recordings.gaps import FORESEEN, Gap, find_gaps
from stream_manager.recordings.times import Range
from stream_manager.store.queries import (
    read_context,
    read_doubts,
    read_extent,
    read_index,
    read_marks,
    read_recorded_streams,
    read_segments,
    read_segments_begun,
    read_volumes,
)
from stream_manager.store.rows import to_text, to_text_or_none
from stream_manager.store.segments import Mark, Segment

Json = dict[str, Any]
OVERLAP_S = 0.1  # less is what stamps are uncertain by


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The `segments` that overlap a range, of `streams`, and where their `volumes` are."""

    streams: tuple[str, ...]
    volumes: Mapping[str, Path]
    segments: tuple[Segment, ...]


def read_catalogue(state_dir: Path, stream: str | None, within: Range) -> Catalogue:
    """Read the segments of a range, of one stream or of all.

    Raises OutsideError if the index can't be read, UsageError for a stream that it does not know.
    """

    def query(connection: sqlite3.Connection) -> Catalogue:
        return Catalogue(
            streams=_streams(connection, stream),
            volumes=read_volumes(connection),
            segments=tuple(
                read_segments(connection, stream=stream, since=within.since, until=within.until)
            ),
        )

    return read_index(state_dir, query)


def overlaps_s(segments: Iterable[Segment]) -> list[float]:
    """Return, of each segment, how many seconds of it another recorder has recorded as well.

    That is so where a worker was replaced by one that was up before. The oldest come first.
    """
    longest: dict[str, Segment] = {}
    found: list[float] = []
    for it in segments:
        former = longest.get(it.stream)
        twice_s = 0.0
        if former is not None and former.epoch != it.epoch and former.ended_at is not None:
            ended_at = min(former.ended_at, it.ended_at or former.ended_at)
            twice_s = (ended_at - it.began_at).total_seconds()
        found.append(round(twice_s, 3) if twice_s > OVERLAP_S else 0.0)
        if it.ended_at is not None and (
            former is None or former.ended_at is None or it.ended_at > former.ended_at
        ):
            longest[it.stream] = it
    return found


def read_gaps(state_dir: Path, stream: str | None, within: Range, *, now: datetime) -> list[Gap]:
    """Read the gaps of a range, clipped to it; one that lasts has no end. Raises as above."""

    def query(connection: sqlite3.Connection) -> list[tuple[str, list[Segment], list[Mark]]]:
        connection.execute("BEGIN")  # segments and marks of one moment
        return [
            (name, *_history(connection, name, within)) for name in _streams(connection, stream)
        ]

    return [
        gap
        for name, segments, marks in read_index(state_dir, query)
        for whole in find_gaps(name, segments, marks)
        if (gap := clipped(whole, within, now)) is not None
    ]


def clipped(gap: Gap, within: Range, now: datetime) -> Gap | None:
    """Return what of a gap lies in a range, None where nothing does."""
    began_at, ended_at = gap.began_at, gap.ended_at
    if within.since is not None:
        began_at = max(began_at, within.since)
    if within.until is not None and (within.until <= now or ended_at is not None):
        ended_at = within.until if ended_at is None else min(ended_at, within.until)
    if began_at >= (ended_at or within.until or now):
        return None
    return replace(gap, began_at=began_at, ended_at=ended_at)


def extent(state_dir: Path, stream: str | None) -> str:
    """Return a sentence that says when the recordings of a stream, or of all, begin and end."""
    found = read_index(state_dir, lambda connection: read_extent(connection, stream))
    whose = "recordings" if stream is None else f"recordings of {stream}"
    if found is None:
        return f"there are no {whose}"
    began_at, ended_at = found
    end = "go on" if ended_at is None else f"end at {_local(ended_at)}"
    return f"{whose} begin at {_local(began_at)} and {end}"


def doubts(state_dir: Path) -> list[str]:
    """Return a sentence for each volume whose recordings are told as they were last seen."""

    def query(connection: sqlite3.Connection) -> list[str]:
        volumes = read_volumes(connection)
        return [
            f"volume {id_}: {doubt.missed} of its files were not at {volumes[id_]}, and its disk"
            f" may not be mounted (its mark {doubt.mark}): they are told as they were last seen;"
            " the manager's log has the mend"
            for id_, doubt in sorted(read_doubts(connection).items())
        ]

    return read_index(state_dir, query)


def covered(state_dir: Path, stream: str, within: Range, *, now: datetime) -> str:
    """Return a sentence that says what of a range without gaps is recorded of a stream."""
    found = read_index(state_dir, lambda connection: read_extent(connection, stream))
    if found is not None:
        began_at = max(found[0], within.since or found[0])
        ended_at = min(within.until or now, found[1] or now)
        if began_at < ended_at:
            said = f"every second from {_local(began_at)} to {_local(ended_at)} is recorded"
            is_all = within.since in {None, began_at} and within.until in {None, ended_at}
            rest = "" if is_all else f"; {extent(state_dir, stream)}"
            return f"no gaps of {stream}: {said}{rest}"
    return f"nothing of {stream} is recorded in this range; {extent(state_dir, stream)}"


def located(volumes: Mapping[str, Path], segment: Segment) -> Path:
    """Return where a segment's file should be.

    Raises OutsideError if that is not inside its volume, or reached through a link there.
    """
    root = volumes.get(segment.volume)
    if root is None:
        raise OutsideError(f'the index does not say where volume "{segment.volume}" is')
    path = root / segment.path
    real = root.resolve()
    if not path.is_relative_to(root) or path.resolve() != real / segment.path:
        raise OutsideError(
            f"{path} leads out of volume {segment.volume}, by .. or by a link: it is not opened"
        )
    return path


def segment_to_json(segment: Segment, volumes: Mapping[str, Path]) -> Json:
    """Return a segment for programs: instants in UTC, its path absolute."""
    return {
        "stream": segment.stream,
        "began_at": to_text(segment.began_at),
        "ended_at": to_text_or_none(segment.ended_at),
        "duration_s": segment.duration_s,
        "bytes": segment.bytes,
        "container": segment.container,
        "tracks": [
            {"kind": it.kind, "codec": it.codec, "shape": it.shape} for it in segment.tracks
        ],
        "epoch": segment.epoch,
        "sequence": segment.sequence,
        "state": segment.state.value,
        "volume": segment.volume,
        "path": str(volumes.get(segment.volume, Path()) / segment.path),
        "holes": [
            {"began_at": to_text(began), "ended_at": to_text(ended), "cause": cause}
            for began, ended, cause in segment.holes
        ],
    }


def gap_to_json(gap: Gap) -> Json:
    """Return a gap for programs; while it lasts, end and duration are null."""
    return {
        "stream": gap.stream,
        "began_at": to_text(gap.began_at),
        "ended_at": to_text_or_none(gap.ended_at),
        "duration_s": (
            None if gap.ended_at is None else (gap.ended_at - gap.began_at).total_seconds()
        ),
        "cause": gap.cause,
        "code": gap.code,
        "outage_s": gap.outage_s,
    }


def _history(
    connection: sqlite3.Connection, stream: str, within: Range
) -> tuple[list[Segment], list[Mark]]:
    """Return as much of a stream as tells the gaps of a range, and not all of its past."""
    first, last = read_context(connection, stream, since=within.since, until=within.until)
    marked = None if first is None else first - FORESEEN
    return (
        read_segments_begun(connection, stream, first=first, last=last),
        read_marks(connection, stream, first=marked, last=last),
    )


def _streams(connection: sqlite3.Connection, stream: str | None) -> tuple[str, ...]:
    there: Sequence[str] = read_recorded_streams(connection)
    if stream is None:
        return tuple(there)
    if stream not in there:
        known = ", ".join(there) or "none"
        raise UsageError(f'no recordings of "{stream}" are known; there are those of: {known}')
    return (stream,)


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
