"""The index of recordings, as its manager writes it: a database of its own beside the store's.

It grows with the recordings, and can be made anew from them.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

from stream_manager.clock import Clock
from stream_manager.store import schema
from stream_manager.store.rows import row, to_text
from stream_manager.store.segments import COLUMNS, Mark, Segment, key_of, to_values
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
    # SQLite draws the markers, so chance stays behind its one door in clock.py.
    """
    ALTER TABLE volumes ADD COLUMN marker TEXT;
    ALTER TABLE volumes ADD COLUMN missed INTEGER;
    UPDATE volumes SET marker = lower(hex(randomblob(8)));
    """,
    """
    ALTER TABLE volumes ADD COLUMN mark_was TEXT;
    """,
)

_PUT = f"INSERT OR REPLACE INTO segments ({COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 - constants
_REMOVE = "DELETE FROM segments WHERE volume = ? AND path = ?"
_ADOPT = f"INSERT OR IGNORE INTO segments ({COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 - constants
_RENAME = "UPDATE OR REPLACE segments SET volume = ? WHERE volume = ?"
_VOLUME = (
    "INSERT INTO volumes (id, path, marker) VALUES (?, ?, lower(hex(randomblob(8))))"
    " ON CONFLICT (id) DO UPDATE SET path = excluded.path"
)
_NO_VOLUME = "DELETE FROM volumes WHERE id = ?"
_ACCEPT = "UPDATE volumes SET accepted = ?, marker = ?, missed = NULL, mark_was = NULL WHERE id = ?"
_REFUSE = "UPDATE volumes SET missed = ?, mark_was = ? WHERE id = ?"
# Another volume may have older ones of the stream.
_FIRST = (
    "min(?2, coalesce((SELECT min(began_at) FROM segments"
    " WHERE stream = ?1 AND state <> 'missing'), ?2))"
)
_FORGET = (
    f"DELETE FROM segments WHERE state = 'missing' AND stream = ?1 AND began_at < {_FIRST}",  # noqa: S608 - constants
    f"DELETE FROM marks WHERE stream = ?1 AND at < {_FIRST}",  # noqa: S608 - constants
)
_MARK = "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)"


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

    async def keep_writing(self) -> None:
        """Look after the thread that writes, until cancelled; raises when it has died."""
        await self._writer.keep_writing()

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
        self._writer.put_history({key_of(segment): row(_PUT, *to_values(segment))})

    def adopt(self, segment: Segment) -> None:
        """Write a segment that was found, unless it is known by now."""
        adopted = row(_ADOPT, *to_values(segment))
        self._writer.put_history({("adopted", *segment.key): adopted})

    def rename_volume(self, former: str, present: str) -> None:
        """Give a volume's segments to the same directory under another id."""
        self._writer.put_history({("renamed", former): row(_RENAME, present, former)})
        self._writer.put_state(("volume", former), row(_NO_VOLUME, former))

    def accept(self, volume: str, known: int, marker: str) -> None:
        """Note how many segments a volume has, none of which is missed, and the mark it bears."""
        self._writer.put_history({("surveyed", volume): row(_ACCEPT, known, marker, volume)})

    def refuse(self, volume: str, missed: int, mark: str) -> None:
        """Note how many segments seem to be gone, and are kept, for the disk may be away.

        mark: what is wrong with the volume's mark, as its predicate.
        """
        self._writer.put_history({("surveyed", volume): row(_REFUSE, missed, mark, volume)})

    def forget_before(self, stream: str, at: datetime) -> None:
        """Forget what was before the first recording that is still there: it is nobody's gap."""
        for number, statement in enumerate(_FORGET):
            forgotten = row(statement, stream, to_text(at))
            self._writer.put_history({("forgotten", stream, number): forgotten})

    def remove(self, segment: Segment) -> None:
        """Forget a segment that never held anything."""
        self._writer.put_history({key_of(segment): row(_REMOVE, segment.volume, segment.path)})

    def mark(self, mark: Mark) -> None:
        """Write why nothing is recorded, or what is newly known of that."""
        at = to_text(mark.at)
        values = row(_MARK, mark.stream, at, mark.cause, mark.code, mark.outage_s)
        self._writer.put_history({("marks", mark.stream, at): values})

    def read(self, query: Callable[[sqlite3.Connection], schema.Answer]) -> schema.Answer:
        """Ask what is on disk, from any thread. Raises sqlite3.Error where that can't be told."""
        return schema.read_live(self._path, query)
