"""How the store comes to its database, and to what was known, on a disk that may fail."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.store import schema
from stream_manager.store.lock import Lock, lock_directory
from stream_manager.store.schema import Database
from stream_manager.store.state import State

# More entries than a -wal ever holds between two checkpoints.
UNREAD_AT_MOST = 100_000


class Opening:
    """How the database is reached: the lock first, now or when the disk has recovered."""

    def __init__(self, state_dir: Path, *, clock: Clock, on_fault: Callable[[str], None]) -> None:
        self._directory = state_dir
        self._clock = clock
        self._on_fault = on_fault
        self._lock: Lock | None = None

    def connect(self) -> Database:
        """Return the database, opened under the lock. Raises what keeps it from that."""
        if self._lock is None:
            self._lock = lock_directory(self._directory)
        return schema.open_database(
            self._directory / schema.NAME, wall=self._clock.wall, on_fault=self._on_fault
        )

    def first_try(self) -> tuple[Database | None, Exception | None]:
        """Return the database, or what kept it: a disk's trouble may pass."""
        try:
            return self.connect(), None
        except (sqlite3.Error, OSError, OutsideError) as error:
            return None, error

    def release(self) -> None:
        """Let another manager have the directory."""
        if self._lock is not None:
            self._lock.release()


def load(path: Path, database: Database | None, clock: Clock) -> State:
    """Read the state; from a disk that can't be written, as far as it can be read.

    In that case numbers go on where no entry can stand that could not be seen.
    """
    if database is not None:
        return State.load(database.connection)
    try:
        known = schema.read(path, State.load)
        known.last_seq += UNREAD_AT_MOST
    except (sqlite3.Error, ValueError):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(";".join(schema.MIGRATIONS))
            known = State.load(connection)
        known.last_seq = int(clock.wall().timestamp() * 1000)
    return known
