"""The index of recordings: every file with its extent, and why nothing was recorded at times.

A database of its own beside the store's, for it grows with the recordings and can be made anew
from them. It holds facts alone; gaps are what lies between the segments (`recordings.gaps`).
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Self

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.store import schema
from stream_manager.store.rows import Key, Row, from_text, row, to_text, to_text_or_none
from stream_manager.store.writer import StoreHealth, Writer

NAME = "segments.db"
CLOSE_AT_MOST_S = 0.5
# Segments stay as long as their files do, and a gap has one mark or two.
BOUNDS = {"marks": 500_000}

MIGRATIONS = (
    """
    CREATE TABLE volumes (id TEXT PRIMARY KEY, path TEXT NOT NULL, accepted INTEGER) STRICT;
    CREATE TABLE segments (volume TEXT NOT NULL, path TEXT NOT NULL, stream TEXT NOT NULL,
        began_at TEXT NOT NULL, ended_at TEXT, duration_s REAL, bytes INTEGER,
        container TEXT NOT NULL, tracks TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, continues INTEGER NOT NULL, holes TEXT NOT NULL,
        state TEXT NOT NULL, PRIMARY KEY (volume, path)) STRICT;
    CREATE INDEX segments_by_time ON segments (stream, began_at);
    CREATE INDEX segments_open ON segments (state) WHERE state = 'open';
    CREATE TABLE marks (stream TEXT NOT NULL, at TEXT NOT NULL, cause TEXT NOT NULL,
        code TEXT NOT NULL, outage_s REAL, PRIMARY KEY (stream, at)) STRICT;
    """,
)

_COLUMNS = (
    "volume, path, stream, began_at, ended_at, duration_s, bytes, container, tracks, epoch,"
    " sequence, continues, holes, state"
)
_PUT = f"INSERT OR REPLACE INTO segments ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 - constants
_READ = f"SELECT {_COLUMNS} FROM segments"  # noqa: S608 - constants
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
_REMOVE = "DELETE FROM segments WHERE volume = ? AND path = ?"
_ADOPT = f"INSERT OR IGNORE INTO segments ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 - constants
_RENAME = "UPDATE OR REPLACE segments SET volume = ? WHERE volume = ?"
_VOLUME = (
    "INSERT INTO volumes VALUES (?, ?, NULL) ON CONFLICT (id) DO UPDATE SET path = excluded.path"
)
_NO_VOLUME = "DELETE FROM volumes WHERE id = ?"
_ACCEPT = "UPDATE volumes SET accepted = ? WHERE id = ?"
_FORGET = (
    "DELETE FROM segments WHERE state = 'missing' AND stream = ? AND began_at < ?",
    "DELETE FROM marks WHERE stream = ? AND at < ?",
)
_MARK = "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)"


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


class SegmentIndex:
    """The writer's side of the index in a locked state directory. No call raises for a disk."""

    def __init__(
        self,
        state_dir: Path,
        *,
        clock: Clock,
        on_fault: Callable[[str], None],
        on_fresh: Callable[[], None],
    ) -> None:
        self._path = state_dir / NAME
        database: schema.Database | None = None
        error: Exception | None = None

        def connect() -> schema.Database:
            return schema.open_database(
                self._path,
                wall=clock.wall,
                on_fault=on_fault,
                migrations=MIGRATIONS,
                lost="filled from the recordings; the causes of gaps are in the old one alone",
            )

        try:
            database = connect()
        except (sqlite3.Error, OSError) as refused:
            error = refused
        self._writer = Writer(
            self._path,
            connect=connect,
            database=database,
            error=error,
            clock=clock,
            on_fault=on_fault,
            bounds=BOUNDS,
            on_fresh=on_fresh,
        )
        self._writer.start()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        *,
        clock: Clock,
        on_fault: Callable[[str], None],
        on_fresh: Callable[[], None] = lambda: None,
    ) -> Self:
        """Open the index of a directory that is ours by the store's lock; made if missing.

        A broken one is set aside under a dated name; on_fresh tells, from any thread, of one that
        had to be begun anew later. Raises NewerSchema.
        """
        return cls(state_dir, clock=clock, on_fault=on_fault, on_fresh=on_fresh)

    def close(self) -> None:
        """Write what waits, at most half a second long: what is lost is found again."""
        self._writer.close(CLOSE_AT_MOST_S)

    def health(self) -> StoreHealth:
        """Return whether rows reach the disk."""
        return self._writer.health()

    async def written(self) -> bool:
        """Return once all that was put is on disk; False if the disk refuses it."""
        return not self._writer.failing and await self._writer.next_commit()

    def know_volume(self, id_: str, path: Path) -> None:
        """Note where a volume is, for those who read the index without a configuration."""
        self._writer.put_state(("volume", id_), row(_VOLUME, id_, str(path)))

    def put(self, segment: Segment) -> None:
        """Write a segment, or what is newly known of it."""
        self._writer.put_history({_key(segment): _row(segment)})

    def adopt(self, segment: Segment) -> None:
        """Write a segment that was found, unless it is known by now."""
        adopted = Row(_ADOPT, _row(segment).values)
        self._writer.put_history({("adopted", *segment.key): adopted})

    def rename_volume(self, former: str, present: str) -> None:
        """Give a volume's segments to the same directory under another id."""
        self._writer.put_history({("renamed", former): row(_RENAME, present, former)})
        self._writer.put_state(("volume", former), row(_NO_VOLUME, former))

    def accept(self, volume: str, known: int) -> None:
        """Note how many segments a volume has, none of which is missed."""
        self._writer.put_history({("accepted", volume): row(_ACCEPT, known, volume)})

    def forget_before(self, stream: str, at: datetime) -> None:
        """Forget what was before the first recording that is still there: it is nobody's gap."""
        for number, statement in enumerate(_FORGET):
            forgotten = row(statement, stream, to_text(at))
            self._writer.put_history({("forgotten", stream, number): forgotten})

    def remove(self, segment: Segment) -> None:
        """Forget a segment that never held anything."""
        self._writer.put_history({_key(segment): row(_REMOVE, segment.volume, segment.path)})

    def mark(self, mark: Mark) -> None:
        """Write why nothing is recorded, or what is newly known of that."""
        at = to_text(mark.at)
        values = row(_MARK, mark.stream, at, mark.cause, mark.code, mark.outage_s)
        self._writer.put_history({("marks", mark.stream, at): values})

    def read(self, query: Callable[[sqlite3.Connection], schema.Answer]) -> schema.Answer:
        """Ask what is on disk, from any thread. Raises sqlite3.Error where that can't be told."""
        return schema.read_live(self._path, query)


def read_index(
    state_dir: Path, query: Callable[[sqlite3.Connection], schema.Answer]
) -> schema.Answer:
    """Ask an index, whether or not a manager runs; the queries are read_*() of this module.

    Raises OutsideError if there is none or it can't be read.
    """
    path = state_dir / NAME
    if not path.exists():
        raise OutsideError(
            f"no index of recordings at {path}: no manager has recorded with this state_dir"
        )
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
    return [_segment(values) for values in found]


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
    return [_segment(values) for values in found]


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
    return list(_marks(connection.execute(query, (stream, *_between(first, last)))))


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
    return {mark.stream: mark for mark in _marks(connection.execute(query))}


def count_present(connection: sqlite3.Connection, volume: str) -> int:
    """Return how many finished segments a volume should have."""
    query = "SELECT count(*) FROM segments WHERE volume = ? AND state NOT IN ('open', 'missing')"
    (count,) = connection.execute(query, (volume,)).fetchone()
    return int(count)


def read_accepted(connection: sqlite3.Connection, volume: str) -> int | None:
    """Return how many there were when none was missed for the last time; None: never asked."""
    query = "SELECT accepted FROM volumes WHERE id = ?"
    found = connection.execute(query, (volume,)).fetchone()
    return None if found is None or found[0] is None else int(found[0])


def _between(first: datetime | None, last: datetime | None) -> tuple[str, str]:
    return to_text_or_none(first) or "", to_text_or_none(last) or "~"  # "~" sorts after all times


def _key(segment: Segment) -> Key:
    return "segments", *segment.key


def _row(it: Segment) -> Row:
    return row(
        _PUT,
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


def _segment(values: tuple[object, ...]) -> Segment:
    it: Mapping[str, object] = dict(zip(_COLUMNS.split(", "), values, strict=True))
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


def _marks(found: sqlite3.Cursor) -> Iterator[Mark]:
    for stream, at, cause, code, outage_s in found:
        yield Mark(stream=stream, at=from_text(at), cause=cause, code=code, outage_s=outage_s)
