"""What can be asked of the index of recordings, by its manager and by anybody beside it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stream_manager.errors import OutsideError
from stream_manager.store import schema
from stream_manager.store.index import NAME
from stream_manager.store.rows import from_text, to_text_or_none
from stream_manager.store.segments import (
    COLUMNS,
    Mark,
    Segment,
    SegmentState,
    marks_of,
    segment_of,
)

DOUBTS_SINCE = 3  # the schema

_READ = f"SELECT {COLUMNS} FROM segments"  # noqa: S608 - constants
_CONTEXT = """
    WITH playable AS (
        SELECT began_at, ended_at FROM segments WHERE stream = :stream AND state <> 'unreadable'
    )
    SELECT
        coalesce(
            (SELECT min(began_at) FROM playable
                WHERE began_at < :since AND (ended_at IS NULL OR ended_at > :since)),
            (SELECT began_at FROM playable WHERE began_at < :since ORDER BY ended_at DESC LIMIT 1)
        ),
        (SELECT min(began_at) FROM playable WHERE began_at >= :until)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How many files seem to be gone of a volume, and what is wrong with its mark."""

    missed: int
    mark: str


def read_index(
    state_dir: Path, query: Callable[[sqlite3.Connection], schema.Answer]
) -> schema.Answer:
    """Ask an index, whether or not a manager runs; the queries are read_*() of this module.

    Raises OutsideError if there is none or it can't be read.
    """
    path = state_dir / NAME
    if not path.exists():
        why = "no manager has recorded with this state_dir"
        if (state_dir / schema.NAME).exists():
            why = (
                "it was removed; a manager makes it anew from the files, at its next start, or as"
                " soon as one that runs has something to write"
            )
        raise OutsideError(f"no index of recordings at {path}: {why}")
    try:
        return schema.read(path, query, newest=True)
    except sqlite3.Error as error:
        if schema.is_broken(error):
            mend = "the next start of the manager sets it aside and makes it anew from the files"
        else:
            mend = "try again when no other program holds it"
        raise OutsideError(f"the index {path} can't be read: {error}; {mend}") from error


def read_volumes(connection: sqlite3.Connection) -> dict[str, Path]:
    """Return where each volume was when it was last used."""
    return {id_: Path(path) for id_, path in connection.execute("SELECT id, path FROM volumes")}


def read_recorded_streams(connection: sqlite3.Connection) -> list[str]:
    """Return the streams that the index knows anything of, by name."""
    query = "SELECT stream FROM segments UNION SELECT stream FROM marks ORDER BY stream"
    return [stream for (stream,) in connection.execute(query)]


def read_segments(
    connection: sqlite3.Connection,
    *,
    stream: str | None = None,
    volume: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    state: SegmentState | None = None,
) -> list[Segment]:
    """Return the segments that overlap [since, until), by stream and beginning."""
    wanted = {
        "stream = :stream": stream,
        "volume = :volume": volume,
        "(ended_at IS NULL OR ended_at > :since)": to_text_or_none(since),
        "began_at < :until": to_text_or_none(until),
        "state = :state": None if state is None else state.value,
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    found = connection.execute(
        f"{_READ} WHERE {' AND '.join(conditions) or 'TRUE'} ORDER BY stream, began_at",
        {
            condition.partition(":")[2].rstrip(")"): value
            for condition, value in wanted.items()
            if value is not None
        },
    )
    return [segment_of(values) for values in found]


def read_context(
    connection: sqlite3.Connection, stream: str, *, since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Return when the first and the last segment began that tell what is missing in [since, until).

    The first one overlaps `since`, or reached furthest before it; the last one begins at or after
    `until`. None where all in that direction are needed.
    """
    times = {"stream": stream, "since": to_text_or_none(since), "until": to_text_or_none(until)}
    first, last = connection.execute(_CONTEXT, times).fetchone()
    return first and from_text(first), last and from_text(last)


def read_segments_begun(
    connection: sqlite3.Connection, stream: str, *, first: datetime | None, last: datetime | None
) -> list[Segment]:
    """Return a stream's segments that began from `first` to `last`, both included, in order."""
    found = connection.execute(
        f"{_READ} WHERE stream = ? AND began_at BETWEEN ? AND ? ORDER BY began_at",
        (stream, *_between(first, last)),
    )
    return [segment_of(values) for values in found]


def read_marks(
    connection: sqlite3.Connection,
    stream: str,
    *,
    first: datetime | None = None,
    last: datetime | None = None,
) -> list[Mark]:
    """Return a stream's marks from `first` to `last`, both included, oldest first."""
    query = (
        "SELECT stream, at, cause, code, outage_s FROM marks"
        " WHERE stream = ? AND at BETWEEN ? AND ? ORDER BY at"
    )
    return list(marks_of(connection.execute(query, (stream, *_between(first, last)))))


def read_extent(
    connection: sqlite3.Connection, stream: str | None
) -> tuple[datetime, datetime | None] | None:
    """Return when the recordings of a stream, or of all, begin and end; no end: they go on."""
    query = (
        "SELECT min(began_at), iif(sum(state = 'open'), NULL, max(ended_at)) FROM segments"
        " WHERE state NOT IN ('unreadable', 'missing') AND (:stream IS NULL OR stream = :stream)"
    )
    began_at, ended_at = connection.execute(query, {"stream": stream}).fetchone()
    return began_at and (from_text(began_at), ended_at and from_text(ended_at))


def read_newest_marks(connection: sqlite3.Connection) -> dict[str, Mark]:
    """Return each stream's newest mark."""
    query = "SELECT stream, max(at), cause, code, outage_s FROM marks GROUP BY stream"
    return {mark.stream: mark for mark in marks_of(connection.execute(query))}


def count_present(connection: sqlite3.Connection, volume: str) -> int:
    """Return how many finished segments a volume should have."""
    query = "SELECT count(*) FROM segments WHERE volume = ? AND state NOT IN ('open', 'missing')"
    (count,) = connection.execute(query, (volume,)).fetchone()
    return int(count)


def read_accepted(connection: sqlite3.Connection, volume: str) -> tuple[int | None, str | None]:
    """Return how many there were when none was missed for the last time, and the volume's mark.

    None: it was never looked at, or is not known.
    """
    query = "SELECT accepted, marker FROM volumes WHERE id = ?"
    accepted, marker = connection.execute(query, (volume,)).fetchone() or (None, None)
    return accepted, marker


def draw_marker(connection: sqlite3.Connection) -> str:
    """Draw a mark that no volume bears yet."""
    (marker,) = connection.execute("SELECT lower(hex(randomblob(8)))").fetchone()
    return str(marker)


def read_doubts(connection: sqlite3.Connection) -> dict[str, Doubt]:
    """Return what seems to be gone of each volume whose disk may be away."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < DOUBTS_SINCE:
        return {}  # the manager that keeps it is older than its reader
    query = "SELECT id, missed, mark_was FROM volumes WHERE missed IS NOT NULL"
    return {
        id_: Doubt(missed=missed, mark=mark or "was not looked at")
        for id_, missed, mark in connection.execute(query)
    }


def _between(first: datetime | None, last: datetime | None) -> tuple[str, str]:
    return to_text_or_none(first) or "", to_text_or_none(last) or "~"  # "~" sorts after all times
