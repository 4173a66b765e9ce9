"""The one thread that writes: its callers hand rows over and go on, whatever the disk does.

Rows wait in memory until they are on disk. *State* rows (what is so now) are kept whole, one for
each key, so a database that had to be made anew is filled from memory. *History* rows (what
happened) are many: only the newest `KEEP_WAITING` wait, and those dropped are counted.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from stream_manager.clock import Clock
from stream_manager.errors import InvariantError, StreamManagerError
from stream_manager.store.rows import Key, Row
from stream_manager.store.schema import Database

KEEP_WAITING = 10_000
RETRY_S = 1.0
TRIM_EVERY = 1_000  # history rows written; each trim removes up to twice as many, so it catches up


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """Whether rows reach the disk. `since` is when failing began, `dropped` counts since open."""

    state: Literal["ok", "failing"]
    error: str | None = None
    waiting: int = 0
    dropped: int = 0
    since: datetime | None = None


class Writer:
    """Writes rows in the order of one transaction a batch; retries every second while it fails.

    bounds: how many of the newest rows of each growing table stay.
    on_fresh: called in the writer's thread when a new database had to be begun meanwhile.
    """

    def __init__(
        self,
        path: Path,
        *,
        connect: Callable[[], Database],
        database: Database | None,
        error: Exception | None,
        clock: Clock,
        on_fault: Callable[[str], None],
        bounds: Mapping[str, int],
        on_fresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._connect = connect
        self._bounds = bounds
        self._on_fresh = on_fresh
        self._database = database
        self._clock = clock
        self._on_fault = on_fault
        self._changed = threading.Condition()
        self._state: dict[Key, Row] = {}
        self._dirty: set[Key] = set()
        self._history: dict[Key, Row] = {}
        self._waiters: list[asyncio.Future[bool]] = []
        self._dropped = 0
        self._untrimmed = 0
        self._stopping = False
        self._error: str | None = None
        self._since: datetime | None = None
        self._thread: threading.Thread | None = None
        if error is not None:
            self._fail(error)

    def start(self) -> None:
        """Begin to write, also again after `alive` has become false."""
        # A daemon, for a disk that hangs for ever must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether rows are written at all: a bug may have ended the thread."""
        return self._thread is not None and self._thread.is_alive()

    async def keep_writing(self) -> None:
        """Look after the thread: begin anew where it has died, and raise when it does."""
        if not self.alive:
            self.start()
        while self.alive:
            await self._clock.sleep(RETRY_S)
        if not self._stopping:
            raise InvariantError(f"the thread that writes {self._path} has died")

    def close(self, at_most_s: float) -> None:
        """Write what waits and end the thread; past `at_most_s` leave it behind and say so."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(at_most_s)
        if left := self.health().waiting:
            self._on_fault(f"{self._path} was closed with {left} rows not written")

    def know(self, rows: Mapping[Key, Row]) -> None:
        """Take state rows that are on disk already, for the day the database must be made anew."""
        with self._changed:
            self._state.update(rows)

    def put_state(self, key: Key, row: Row) -> None:
        """Write what is so now; only the newest row of a key is worth writing."""
        with self._changed:
            self._state[key] = row
            self._dirty.add(key)
            self._changed.notify()

    def put_history(self, rows: Mapping[Key, Row]) -> None:
        """Write what happened."""
        with self._changed:
            self._history.update(rows)
            while len(self._history) > KEEP_WAITING:
                del self._history[next(iter(self._history))]
                self._dropped += 1
            self._changed.notify()

    def next_commit(self) -> asyncio.Future[bool]:
        """Return a future of the running loop: whether all rows put so far are on disk."""
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self._waiters.append(future)
            self._changed.notify()
        return future

    @property
    def failing(self) -> bool:
        """Whether the disk refused the last write, so that waiting for the next one is vain."""
        return self._error is not None

    def waiting(self, table: str) -> list[Row]:
        """Return the history rows of `table` that are not on disk yet, oldest first."""
        with self._changed:
            return [row for key, row in self._history.items() if key[0] == table]

    def health(self) -> StoreHealth:
        """Return how writing goes."""
        with self._changed:
            return StoreHealth(
                state="ok" if self._error is None else "failing",
                error=self._error,
                waiting=len(self._history) + len(self._dirty),
                dropped=self._dropped,
                since=self._since,
            )

    def _run(self) -> None:
        while self._wait():
            self._flush()
        self._flush()
        self._disconnect()

    def _wait(self) -> bool:
        """Return when there is something to do; False when it is time to end."""
        with self._changed:
            if self._error is not None:
                self._changed.wait_for(lambda: self._stopping, RETRY_S)
            else:
                self._changed.wait_for(
                    lambda: self._stopping or self._history or self._dirty or self._waiters
                )
            return not self._stopping

    def _flush(self) -> None:
        with self._changed:
            waiters, self._waiters = self._waiters, []
        try:
            if self._database is not None and not self._database.is_at(self._path):
                raise FileNotFoundError("it was moved or deleted")
            if self._database is None:
                self._database = self._connect()
                if self._database.fresh:
                    with self._changed:
                        self._dirty.update(self._state)
                    self._on_fresh()
            with self._changed:
                history = dict(self._history)
                state = {key: self._state[key] for key in self._dirty}
            self._write(self._database.connection, history, state)
        except (sqlite3.Error, OSError, StreamManagerError) as error:
            self._fail(error)
            _resolve(waiters, committed=False)
        else:
            with self._changed:
                # A row that was replaced meanwhile is another row and waits for the next batch.
                for key, row in history.items():
                    if self._history.get(key) is row:
                        del self._history[key]
                self._dirty -= {key for key, row in state.items() if self._state[key] is row}
            _resolve(waiters, committed=True)
            self._recover(len(history) + len(state))

    def _write(
        self, connection: sqlite3.Connection, history: Mapping[Key, Row], state: Mapping[Key, Row]
    ) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for row in (*history.values(), *state.values()):
            connection.execute(row.sql, row.values)
        self._untrimmed += len(history)
        if self._untrimmed >= TRIM_EVERY:
            self._trim(connection)
            self._untrimmed = 0
        connection.execute("COMMIT")

    def _trim(self, connection: sqlite3.Connection) -> None:
        for table, keep in self._bounds.items():
            # Rowids follow the order of arrival, and counting reads the smallest index alone.
            connection.execute(
                f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY rowid"  # noqa: S608 - constants
                f" LIMIT max(0, min(?, (SELECT count(*) FROM {table}) - ?)))",
                (2 * TRIM_EVERY, keep),
            )

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        with self._changed:
            first = self._error is None
            self._error = str(error)
            if first:
                self._since = self._clock.wall()
        if first:
            self._on_fault(
                f"{self._path} can't be written ({error}); streams go on, the newest"
                f" {KEEP_WAITING} rows wait in memory, and it is tried again every {RETRY_S:g} s"
            )

    def _recover(self, written: int) -> None:
        with self._changed:
            since, self._since, self._error = self._since, None, None
            dropped = self._dropped
        if since is not None:
            self._on_fault(
                f"{self._path} is written again: it failed since {since:%Y-%m-%d %H:%M:%S} UTC,"
                f" {written} rows that waited are saved, {dropped} were lost"
            )

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.connection.close()


def _resolve(waiters: list[asyncio.Future[bool]], *, committed: bool) -> None:
    for future in waiters:
        with suppress(RuntimeError):  # its loop has ended, and nobody waits any more
            future.get_loop().call_soon_threadsafe(_settle, future, committed)


def _settle(future: asyncio.Future[bool], committed: bool) -> None:  # noqa: FBT001 - a loop callback
    if not future.done():
        future.set_result(committed)
