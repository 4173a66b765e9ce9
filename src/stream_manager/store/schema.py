"""The database file: its schema, its numbered migrations, and what happens when it is broken."""

import itertools
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from stream_manager.errors import UsageError

Answer = TypeVar("Answer")

NAME = "manager.db"

# Migration n brings version n to n + 1. Append; never edit what a release has shipped.
MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE desired (stream TEXT PRIMARY KEY, up INTEGER NOT NULL) STRICT;
    CREATE TABLE workers (stream TEXT PRIMARY KEY, pid INTEGER NOT NULL,
        start_ticks INTEGER NOT NULL, boot_id TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT;
    CREATE TABLE snapshots (component TEXT PRIMARY KEY, version INTEGER NOT NULL,
        sha256 TEXT NOT NULL, payload TEXT NOT NULL) STRICT;
    CREATE TABLE snapshots_aside (component TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL,
        version INTEGER NOT NULL, sha256 TEXT NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (component, at)) STRICT;
    CREATE TABLE totals (stream TEXT PRIMARY KEY, observed_s REAL NOT NULL,
        outages INTEGER NOT NULL, outage_s REAL NOT NULL, repairs INTEGER NOT NULL,
        repaired_s REAL NOT NULL) STRICT;
    CREATE TABLE outages (stream TEXT NOT NULL, began_at TEXT NOT NULL, ended_at TEXT,
        cause TEXT NOT NULL, code TEXT NOT NULL, attempts INTEGER NOT NULL,
        repaired INTEGER NOT NULL, PRIMARY KEY (stream, began_at)) STRICT;
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, because INTEGER, at TEXT NOT NULL,
        stream TEXT NOT NULL, component TEXT NOT NULL, epoch INTEGER NOT NULL,
        event TEXT NOT NULL, rule TEXT NOT NULL, cause TEXT, fault_class TEXT, code TEXT,
        message TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
        attempt INTEGER NOT NULL, next_attempt_at TEXT, saw TEXT NOT NULL, actions TEXT NOT NULL,
        late INTEGER NOT NULL) STRICT;
    CREATE INDEX journal_by_stream ON journal (stream, seq);
    """,
    """
    CREATE TABLE counters (component TEXT PRIMARY KEY, version INTEGER NOT NULL,
        sha256 TEXT NOT NULL, payload TEXT NOT NULL) STRICT;
    """,
)

# What SQLite says of a file that no retry will mend. SQLITE_ERROR while opening means that tables
# or columns are not ours.
_BROKEN = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,
}


class NewerSchema(UsageError):  # noqa: N818 - the name says what is so
    """A later release wrote this database; it was not touched."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database; `fresh` if it was made just now and holds nothing."""

    connection: sqlite3.Connection
    fresh: bool
    inode: int

    def is_at(self, path: Path) -> bool:
        """Tell whether the file is still what the path names; SQLite itself would not notice."""
        try:
            return path.stat().st_ino == self.inode
        except FileNotFoundError:
            return False


def open_database(
    path: Path,
    *,
    wall: Callable[[], datetime],
    on_fault: Callable[[str], None],
    migrations: Sequence[str] = MIGRATIONS,
    lost: str = "and history and operators' stops up to now are in the old one alone",
) -> Database:
    """Open, check and migrate the database at `path`; create it (0600) if missing.

    A broken one is moved aside under a dated name and replaced; `on_fault` is told, and what is
    `lost` by it. Raises
    NewerSchema, and sqlite3.Error or OSError where the disk is at fault and a retry may help.
    """
    try:
        return _open(path, wall, migrations)
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        aside = _set_aside(path, wall())
        on_fault(
            f"the database {path} was broken ({error}) and is kept as {aside.name};"
            f" a new one begins, {lost}"
        )
    return _open(path, wall, migrations)


def is_broken(error: BaseException) -> bool:
    """Tell a file that is beyond repair from a disk that may recover."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code & 0xFF in _BROKEN


def _open(path: Path, wall: Callable[[], datetime], migrations: Sequence[str]) -> Database:
    # Made by us first, for SQLite knows only the umask; its -wal and -shm copy this mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        version = _version(connection, path, len(migrations))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16000000")
        _migrate(connection, path, version, wall, migrations)
        if version:
            _check(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return Database(connection, fresh=version == 0, inode=path.stat().st_ino)


def _version(connection: sqlite3.Connection, path: Path, known: int) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > known:
        raise NewerSchema(
            f"{path} has schema {version}, written by a later stream-manager; this one knows"
            f" up to {known}: upgrade it, or give it another state_dir"
        )
    return version


def _check(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(";".join(migrations))
        if verdict == "ok" and _tables(connection) != _tables(model):
            verdict = "its tables are not ours"
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql > ''")}


def _migrate(
    connection: sqlite3.Connection,
    path: Path,
    version: int,
    wall: Callable[[], datetime],
    migrations: Sequence[str],
) -> None:
    if version == len(migrations):
        return
    if version:
        backup = path.with_name(f"{path.name}.schema-{version}-{_stamp(wall())}")
        os.close(os.open(backup, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(backup)) as copy:
            connection.backup(copy)
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT")


def _set_aside(path: Path, at: datetime) -> Path:
    base = path.with_name(f"{path.name}.corrupt-{_stamp(at)}")
    names = itertools.chain([base], (Path(f"{base}-{n}") for n in itertools.count(2)))
    aside = next(name for name in names if not name.exists())
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    path.rename(aside)
    return aside


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H-%M-%SZ")


def read(
    path: Path, query: Callable[[sqlite3.Connection], Answer], *, newest: bool = False
) -> Answer:
    """Run `query` beside a running writer; raises sqlite3.Error if the file can't be read at all.

    A full or read-only disk has no room for the -shm file that readers share: there the file is
    read as it stands, without what is still in the -wal. So is one that another program holds for
    itself alone, unless the `newest` rows must not be left out.
    """
    try:
        return _query(path, "mode=ro", query)
    except sqlite3.OperationalError as error:
        if newest and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise
        return _query(path, "immutable=1", query)


def read_live(path: Path, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Run `query` on the newest rows; raises sqlite3.Error where a writer's can't all be seen."""
    return _query(path, "mode=ro", query)


def _query(path: Path, mode: str, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
    address = f"{path.absolute().as_uri()}?{mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as connection:
        return query(connection)
