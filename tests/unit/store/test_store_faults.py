import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from stream_manager.clock import SystemClock
from stream_manager.errors import InvariantError
from stream_manager.store import Entry, NewerSchema, OutageRow, Store, schema, writer
from stream_manager.store import store as store_module

Open = Callable[[Path], Store]
Entries = Callable[..., list[Entry]]


def until(condition: Callable[[], bool], at_most_s: float = 10.0) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline_s = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def write(store: Store, entries: list[Entry]) -> bool:
    """Journal from outside any loop."""
    return asyncio.run(store.write(entries, 5.0))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.02)


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A state directory that can't be made, for a file stands where its parent should."""
    (tmp_path / "in-the-way").write_text("")
    return tmp_path / "in-the-way" / "state"


@pytest.mark.parametrize(
    "content",
    [
        b"not a database at all, but long enough to be looked at",
        b"SQLite format 3\0" + bytes(4096),
    ],
    ids=["text", "zeros"],
)
def test_a_file_that_is_no_database_is_kept_and_replaced(
    tmp_path: Path, open_store: Open, entries: Entries, faults: list[str], content: bytes
) -> None:
    """Garbage in the database's place costs its history, not the next manager's start."""
    (tmp_path / "manager.db").write_bytes(content)
    store = open_store(tmp_path)
    assert write(store, entries(1))
    assert store.journal() == entries(1)
    (kept,) = tmp_path.glob("manager.db.corrupt-20*Z")
    assert kept.read_bytes() == content
    assert kept.name in faults[0]
    assert len(faults) == 1


def test_a_second_broken_database_does_not_replace_the_first(
    tmp_path: Path, open_store: Open
) -> None:
    """Two that break within one second are both kept."""
    for _ in range(2):
        (tmp_path / "manager.db").write_text("not a database at all, but long enough")
        open_store(tmp_path).close()
    assert len(list(tmp_path.glob("manager.db.corrupt-*"))) == 2


def test_damage_inside_a_database_is_found_at_open(
    tmp_path: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """Overwritten pages in the middle are found by the check, before anybody relies on them."""
    store = open_store(tmp_path)
    write(store, entries(*range(1, 200)))
    store.close()
    path = tmp_path / "manager.db"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xa5" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    assert open_store(tmp_path).health().state == "ok"
    assert "was broken" in faults[0]


def test_a_database_of_another_program_is_set_aside(
    tmp_path: Path, open_store: Open, faults: list[str]
) -> None:
    """A sound database whose tables are not ours is kept, and a new one made."""
    with closing(sqlite3.connect(tmp_path / "manager.db")) as other:
        other.executescript("CREATE TABLE journal (note TEXT); PRAGMA user_version = 1")
    assert open_store(tmp_path).last_seq() == 0
    assert "its tables are not ours" in faults[0]


def test_a_database_that_breaks_while_in_use_is_filled_from_memory(
    tmp_path: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """After damage under a running manager, the new database holds all that is so now."""
    store = open_store(tmp_path)
    store.set_desired("front-door", False)
    store.save_worker("front-door", 41, 7, "boot", 2)
    store.save_snapshot("front-door/source", {"position_s": 1})
    store.save_counters("front-door", {"attempts": 2})
    store.save_counters("car-park", {"attempts": 4})
    store.forget_counters("car-park")
    store.forget_counters("never-counted")
    store.add_observed("front-door", 60.0)
    assert write(store, entries(1))
    instance = store.instance_id()
    with closing(sqlite3.connect(tmp_path / "manager.db", isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        store.set_desired("car-park", True)
        until(lambda: store.health().state == "failing")
        for name in ("manager.db", "manager.db-wal"):
            (tmp_path / name).write_bytes(b"\xa5" * 65536)
    write(store, entries(2))
    until(lambda: store.health().state == "ok" and store.health().waiting == 0)
    store.close()
    assert any("was broken" in fault for fault in faults)

    store = open_store(tmp_path)
    assert store.desired() == {"front-door": False, "car-park": True}
    assert [worker.pid for worker in store.workers()] == [41]
    assert store.load_snapshot("front-door/source") == {"position_s": 1}
    assert store.load_counters("front-door") == {"attempts": 2}
    assert store.load_counters("car-park") is None
    assert store.totals()["front-door"].observed_s == 60.0
    assert store.instance_id() == instance
    assert [entry.seq for entry in store.journal()] == [2]


def test_without_a_directory_the_store_works_from_memory(
    blocked: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """A store that can't write answers, numbers and journals; nobody waits for it."""
    store = open_store(blocked)
    health = store.health()
    assert health.state == "failing"
    assert health.since is not None
    assert str(blocked) in faults[0]
    first = store.last_seq() + 1
    assert not asyncio.run(store.write(entries(first), at_most_s=3600.0))
    store.set_desired("front-door", False)
    assert store.desired() == {"front-door": False}
    assert store.journal() == entries(first, late=True)
    assert store.outages("front-door") == []
    assert store.health().waiting == 3


def test_rows_that_waited_are_saved_when_the_disk_comes_back(
    blocked: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """Recovery of the disk is noticed, said, and costs no row."""
    store = open_store(blocked)
    first = store.last_seq() + 1
    write(store, entries(first))
    outage = OutageRow(
        stream="front-door",
        began_at=entries(1)[0].at,
        ended_at=None,
        cause="storage",
        code="ENOSPC",
        attempts=0,
    )
    store.save_outage(outage)
    assert store.outages("front-door") == [outage]
    store.set_desired("front-door", False)
    blocked.parent.unlink()
    until(lambda: store.health().state == "ok")
    assert write(store, entries(first + 1))
    store.close()
    assert "is written again" in faults[-1]

    store = open_store(blocked)
    assert store.journal() == [*entries(first, late=True), *entries(first + 1)]
    assert store.outages("front-door") == [outage]
    assert store.desired() == {"front-door": False}


def test_numbers_given_without_the_disk_meet_none_on_it(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """A manager that could not see the journal never writes over what stands there."""
    state_dir = tmp_path / "state"
    store = open_store(state_dir)
    write(store, entries(1, 2))
    store.close()
    state_dir.rename(tmp_path / "elsewhere")
    state_dir.write_text("")
    store = open_store(state_dir)
    number = store.last_seq() + 1
    write(store, entries(number))
    state_dir.unlink()
    (tmp_path / "elsewhere").rename(state_dir)
    until(lambda: store.health().state == "ok")
    assert [entry.seq for entry in store.journal()] == [1, 2, number]


def test_the_newest_rows_wait_and_the_dropped_are_counted(
    blocked: Path,
    open_store: Open,
    entries: Entries,
    faults: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that stays away costs bounded memory, and the oldest entries first."""
    monkeypatch.setattr(writer, "KEEP_WAITING", 3)
    store = open_store(blocked)
    write(store, entries(*range(1, 11)))
    assert [entry.seq for entry in store.journal()] == [8, 9, 10]
    assert store.health().dropped >= 7
    store.close()
    assert "rows not written" in faults[-1]


def test_a_locked_database_is_waited_for(
    tmp_path: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """A transaction left open in the sqlite3 shell delays the journal and loses nothing."""
    store = open_store(tmp_path)
    assert write(store, entries(1))
    with closing(sqlite3.connect(tmp_path / "manager.db", isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        assert not asyncio.run(store.write(entries(2), at_most_s=0.01))
        until(lambda: store.health().state == "failing")
        shell.execute("ROLLBACK")
    until(lambda: store.health().state == "ok")
    assert store.journal() == [*entries(1), *entries(2, late=True)]
    assert "database is locked" in faults[0]


def test_a_database_that_is_deleted_under_the_manager_is_made_anew(
    tmp_path: Path, open_store: Open, entries: Entries, faults: list[str]
) -> None:
    """Rows never vanish into a file that has no name any more."""
    store = open_store(tmp_path)
    store.set_desired("front-door", False)
    assert write(store, entries(1))
    for name in ("manager.db", "manager.db-wal", "manager.db-shm"):
        (tmp_path / name).unlink()
    assert not write(store, entries(2))
    until(lambda: store.health().state == "ok" and not store.health().waiting)
    assert "it was moved or deleted" in faults[0]
    assert store.journal() == entries(2, late=True)
    store.close()
    assert open_store(tmp_path).desired() == {"front-door": False}


def test_a_store_that_can_only_be_read_leaves_room_for_what_it_can_not_see(
    tmp_path: Path, open_store: Open, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers never meet entries of a log that a full disk kept from being read."""
    store = open_store(tmp_path)
    store.set_desired("front-door", False)
    write(store, entries(1, 2))
    store.close()

    def refuse(*_: object, **__: object) -> schema.Database:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "open_database", refuse)
        store = open_store(tmp_path)
        assert store.health().state == "failing"
        assert store.desired() == {"front-door": False}
        assert store.last_seq() == 100_002
        assert store.journal() == entries(1, 2)
    until(lambda: store.health().state == "ok")
    assert write(store, entries(100_003))
    assert [entry.seq for entry in store.journal()] == [1, 2, 100_003]


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path, open_store: Open) -> None:
    """An older program names both versions and leaves the file and the lock alone."""
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "manager.db")) as later:
        later.execute("PRAGMA user_version = 7")
    before = (tmp_path / "manager.db").read_bytes()
    for _ in range(2):
        with pytest.raises(NewerSchema, match=r"schema 7, .* knows up to 2"):
            open_store(tmp_path)
    assert (tmp_path / "manager.db").read_bytes() == before


def test_migrations_go_forward_after_a_copy(tmp_path: Path) -> None:
    """Each missing step runs once, in order, and the database as it was stays beside it."""
    path = tmp_path / "manager.db"
    steps = ["CREATE TABLE a (x) STRICT".replace("x", "x TEXT"), "ALTER TABLE a ADD COLUMN y TEXT"]

    def open_with(migrations: list[str]) -> schema.Database:
        return schema.open_database(
            path, wall=SystemClock().wall, on_fault=pytest.fail, migrations=migrations
        )

    database = open_with(steps[:1])
    assert database.fresh
    database.connection.execute("INSERT INTO a VALUES ('kept')")
    database.connection.close()

    for _ in range(2):
        database = open_with(steps)
        assert not database.fresh
        assert database.connection.execute("SELECT x, y FROM a").fetchall() == [("kept", None)]
        database.connection.close()

    (copy,) = tmp_path.glob("manager.db.schema-1-*")
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT * FROM a").fetchall() == [("kept",)]


def test_a_store_without_counters_gets_room_for_them(tmp_path: Path, open_store: Open) -> None:
    """What an earlier release has saved stays, and lies beside it as it was."""
    earlier = schema.open_database(
        tmp_path / "manager.db",
        wall=SystemClock().wall,
        on_fault=pytest.fail,
        migrations=schema.MIGRATIONS[:1],
    )
    with closing(earlier.connection) as connection:
        connection.execute("INSERT INTO desired VALUES ('front-door', 0)")
    store = open_store(tmp_path)
    assert store.desired() == {"front-door": False}
    assert store.load_counters("front-door") is None
    store.save_counters("front-door", {"attempts": 1})
    store.close()
    assert open_store(tmp_path).load_counters("front-door") == {"attempts": 1}
    (copy,) = tmp_path.glob("manager.db.schema-1-*")
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT * FROM desired").fetchall() == [("front-door", 0)]


def test_a_populated_store_is_upgraded_and_its_old_state_kept(
    tmp_path: Path, open_store: Open, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next release finds all that this one saved; the copy beside it is this one's, whole."""
    store = open_store(tmp_path)
    store.set_desired("front-door", False)
    store.save_snapshot("front-door/source", {"position_s": 1})
    store.save_counters("front-door/source", {"attempts": 3})
    store.add_observed("front-door", 60.0)
    write(store, entries(*range(1, 50)))
    instance = store.instance_id()
    store.close()
    later = (*schema.MIGRATIONS, "ALTER TABLE journal ADD COLUMN note TEXT")

    with monkeypatch.context() as next_release:
        upgraded = partial(schema.open_database, migrations=later)
        next_release.setattr(schema, "open_database", upgraded)
        store = open_store(tmp_path)
        assert store.health().state == "ok"
        assert store.desired() == {"front-door": False}
        assert store.load_snapshot("front-door/source") == {"position_s": 1}
        assert store.load_counters("front-door/source") == {"attempts": 3}
        assert store.totals()["front-door"].observed_s == 60.0
        assert store.instance_id() == instance
        assert [entry.seq for entry in store.journal(limit=100)] == list(range(1, 50))
        store.close()

    with pytest.raises(NewerSchema, match=r"schema 3, .* knows up to 2"):
        open_store(tmp_path)
    (copy,) = tmp_path.glob("manager.db.schema-2-*")
    assert copy.stat().st_mode & 0o777 == 0o600
    (tmp_path / "back").mkdir(mode=0o700)
    copy.rename(tmp_path / "back" / "manager.db")
    store = open_store(tmp_path / "back")
    assert store.desired() == {"front-door": False}
    assert len(store.journal(limit=100)) == 49


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A step that breaks off half-way is rolled back."""
    path = tmp_path / "manager.db"
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection), pytest.raises(sqlite3.OperationalError):
        schema._migrate(
            connection,
            path,
            0,
            SystemClock().wall,
            ["CREATE TABLE a (x); INSERT INTO nowhere VALUES (1)"],
        )
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_old_entries_are_trimmed(
    tmp_path: Path, open_store: Open, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal keeps the newest entries and stays bounded."""
    monkeypatch.setattr(store_module, "BOUNDS", {"journal": 20})
    monkeypatch.setattr(writer, "TRIM_EVERY", 10)
    store = open_store(tmp_path)
    for first in range(1, 100, 5):
        write(store, entries(*range(first, first + 5)))
    kept = [entry.seq for entry in store.journal(limit=1000)]
    assert kept == list(range(81, 101))


def test_closing_leaves_no_thread(tmp_path: Path, open_store: Open) -> None:
    """A closed store has no writer any more; what is put afterwards does no harm."""
    before = threading.active_count()
    store = open_store(tmp_path)
    store.close()
    assert threading.active_count() == before
    store.set_desired("front-door", True)
    store.close()


def test_a_writer_whose_thread_died_of_a_bug_is_begun_anew(
    tmp_path: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks after it hears of the death, and the next look begins with a new thread."""
    told: list[str] = []

    def bug(text: str) -> None:
        told.append(text)
        if len(told) == 1:
            raise ValueError(text)

    store = Store.open(tmp_path, clock=SystemClock(), on_fault=bug)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def live() -> None:
        (tmp_path / "manager.db").unlink()
        looked_after = asyncio.create_task(store.keep_writing())
        assert not await store.write(entries(1), 0.05)
        with pytest.raises(InvariantError, match="has died"):
            await asyncio.wait_for(looked_after, 10.0)
        looked_after = asyncio.create_task(store.keep_writing())
        await store.write(entries(2), 5.0)
        await asyncio.to_thread(until, lambda: store.health().waiting == 0)
        looked_after.cancel()

    asyncio.run(live())
    assert [it.seq for it in store.journal()] == [1, 2]
    store.close()
