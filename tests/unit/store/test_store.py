import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from stream_manager.errors import OutsideError, UsageError
from stream_manager.store import (
    AlreadyRunning,
    Entry,
    OutageRow,
    Store,
    Totals,
    WorkerRow,
    lock_directory,
    read_journal,
)

Open = Callable[[Path], Store]
Entries = Callable[..., list[Entry]]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def write(store: Store, entries: list[Entry], at_most_s: float = 5.0) -> bool:
    """Journal from outside any loop."""
    return asyncio.run(store.write(entries, at_most_s))


def test_an_entry_comes_back_as_it_was_written(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """Every field of an entry survives the disk, whoever reads it."""
    store = open_store(tmp_path)
    assert write(store, entries(1))
    assert store.journal() == entries(1)
    assert read_journal(tmp_path) == entries(1)


def test_any_text_and_number_can_be_journalled(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """Text that is not UTF-8 and numbers that are not JSON can't stop the journal."""
    store = open_store(tmp_path)
    assert write(store, entries(1, message="a\udcffb", saw={"left_s": float("inf")}))
    assert store.journal() == entries(1, message="a?b", saw={"left_s": "inf"})


def test_numbers_go_on_after_a_restart(tmp_path: Path, open_store: Open, entries: Entries) -> None:
    """The next manager numbers its entries on from the last one's."""
    store = open_store(tmp_path)
    assert store.last_seq() == 0
    write(store, entries(1, 2, 3))
    assert store.last_seq() == 3
    store.close()
    assert open_store(tmp_path).last_seq() == 3


def test_the_journal_is_read_by_stream_and_from_a_number_on(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """The newest entries come when no number is given, else the ones next after it."""
    store = open_store(tmp_path)
    write(store, entries(1, 2, 3, 4))
    write(store, entries(5, stream="car-park"))
    assert [entry.seq for entry in store.journal(limit=2)] == [4, 5]
    assert [entry.seq for entry in store.journal(after=1, limit=2)] == [2, 3]
    assert [entry.seq for entry in store.journal("front-door", limit=2)] == [3, 4]
    assert [entry.seq for entry in store.journal("car-park", after=1)] == [5]
    assert [entry.seq for entry in read_journal(tmp_path, stream="car-park")] == [5]


def test_a_late_entry_is_marked_and_written_all_the_same(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """An entry that could not be committed in time says so, once it is on disk."""
    store = open_store(tmp_path)
    write(store, entries(0))  # the database is there
    other = sqlite3.connect(tmp_path / "manager.db", isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")  # nobody else can commit meanwhile
        assert not write(store, entries(1), at_most_s=0.0)
    store.close()
    assert read_journal(tmp_path)[-1:] == entries(1, late=True)


def test_followers_wake_up_for_a_new_entry_and_at_the_end(
    tmp_path: Path, open_store: Open, entries: Entries
) -> None:
    """A follower gets an entry as soon as there is one, and nothing once the store closes."""
    store = open_store(tmp_path)

    async def follow() -> tuple[list[Entry], list[Entry], list[Entry]]:
        follower = asyncio.create_task(store.follow("front-door", 1, 10, 30.0))
        await asyncio.sleep(0)
        await store.write(entries(1, 2))
        found = await follower
        in_vain = await store.follow("front-door", 2, 10, 0.01)
        follower = asyncio.create_task(store.follow("front-door", 2, 10, 30.0))
        await asyncio.sleep(0)
        store.close()
        return found, in_vain, await follower

    assert asyncio.run(follow()) == (entries(2), [], [])


def test_reading_a_journal_that_is_not_there_says_where_it_was_sought(tmp_path: Path) -> None:
    """No journal, and a file that is not one, are errors of the outside that name the path."""
    with pytest.raises(OutsideError, match="no manager has run"):
        read_journal(tmp_path)
    (tmp_path / "manager.db").write_text("not a database at all, but long enough to be read")
    with pytest.raises(
        OutsideError, match=r"manager\.db can't be read: file is not a database"
    ) as it:
        read_journal(tmp_path)
    assert str(it.value).endswith(
        "the next start of the manager sets it aside and begins a new one"
    )


def test_state_outlives_the_manager(tmp_path: Path, open_store: Open) -> None:
    """Wishes, workers, snapshots and the instance's name are there for the next manager."""
    store = open_store(tmp_path)
    store.set_desired("front-door", False)
    store.set_desired("car-park", True)
    store.save_worker("front-door", 41, 7, "boot", 2)
    store.save_worker("car-park", 42, 8, "boot", 3)
    store.forget_worker("front-door")
    store.save_snapshot("front-door/source", {"position_s": 1.5})
    store.save_snapshot("front-door/source", {"position_s": 2.5})
    instance = store.instance_id()
    store.close()

    store = open_store(tmp_path)
    assert store.desired() == {"front-door": False, "car-park": True}
    assert store.workers() == [
        WorkerRow(stream="car-park", pid=42, start_ticks=8, boot_id="boot", epoch=3)
    ]
    assert store.load_snapshot("front-door/source") == {"position_s": 2.5}
    assert store.load_snapshot("car-park/source") is None
    assert store.instance_id() == instance
    assert len(instance) == 16


def test_two_directories_are_two_instances(tmp_path: Path, open_store: Open) -> None:
    """A worker can tell its own manager's directory from another's."""
    assert open_store(tmp_path / "a").instance_id() != open_store(tmp_path / "b").instance_id()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE snapshots SET payload = '{\"position_s\":9}'", "checksum does not match"),
        ("UPDATE snapshots SET version = 99", "version 99, expected 1"),
        (
            f"UPDATE snapshots SET payload = '{{', sha256 = '{sha256(b'{').hexdigest()}'",
            "not JSON",
        ),
        (
            f"UPDATE snapshots SET payload = '[]', sha256 = '{sha256(b'[]').hexdigest()}'",
            "not a JSON object",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_trusted_is_set_aside(
    tmp_path: Path, open_store: Open, faults: list[str], damage: str, reason: str
) -> None:
    """A damaged snapshot is kept for inspection, said, and never handed out."""
    store = open_store(tmp_path)
    store.save_snapshot("front-door/source", {"position_s": 1})
    store.close()
    with closing(sqlite3.connect(tmp_path / "manager.db")) as database, database:
        database.execute(damage)

    store = open_store(tmp_path)
    assert store.load_snapshot("front-door/source") is None
    store.close()
    assert len(faults) == 1
    assert reason in faults[0]
    with closing(sqlite3.connect(tmp_path / "manager.db")) as database:
        assert database.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
        rows = database.execute("SELECT component, reason FROM snapshots_aside").fetchall()
    assert [component for component, _ in rows] == ["front-door/source"]
    assert reason in rows[0][1]


def test_a_snapshot_can_be_set_aside_by_its_user(
    tmp_path: Path, open_store: Open, faults: list[str]
) -> None:
    """What fails to restore is taken out of use, and a new one can take its place."""
    store = open_store(tmp_path)
    store.set_aside_snapshot("front-door/source", "never saved")
    assert faults == []
    store.save_snapshot("front-door/source", {"position_s": 1})
    store.set_aside_snapshot("front-door/source", "failed to restore twice")
    assert store.load_snapshot("front-door/source") is None
    assert "failed to restore twice" in faults[0]
    store.save_snapshot("front-door/source", {"position_s": 2})
    store.close()
    assert open_store(tmp_path).load_snapshot("front-door/source") == {"position_s": 2}


def test_outages_are_counted_once_and_over_restarts(tmp_path: Path, open_store: Open) -> None:
    """An outage counts from its beginning, its seconds from its end, in whichever manager."""
    store = open_store(tmp_path)
    first = OutageRow(
        stream="front-door", began_at=NOON, ended_at=None, cause="network", code="eos", attempts=0
    )
    store.save_outage(first)
    store.save_outage(replace(first, attempts=3))
    store.add_observed("front-door", 60.0)
    store.close()

    store = open_store(tmp_path)
    assert store.totals() == {"front-door": Totals(observed_s=60.0, outages=1, outage_s=0.0)}
    assert store.outages("front-door") == [replace(first, attempts=3)]
    ended = replace(first, attempts=4, ended_at=NOON + timedelta(seconds=5))
    set_back = replace(
        first, began_at=NOON + timedelta(hours=1), ended_at=NOON + timedelta(minutes=59)
    )
    store.save_outage(ended)
    store.save_outage(set_back)
    store.add_observed("front-door", 30.0)
    assert store.totals() == {
        "front-door": Totals(observed_s=90.0, outages=2, outage_s=5.0, repairs=2, repaired_s=5.0)
    }
    assert store.outages("front-door") == [ended, set_back]
    assert store.outages("front-door", limit=1) == [set_back]
    assert store.outages("car-park") == []


def test_an_outage_that_a_stop_cut_short_is_no_repair(tmp_path: Path, open_store: Open) -> None:
    """Its seconds were lost, and it says nothing about how long repairs take."""
    store = open_store(tmp_path)
    healed = OutageRow(
        stream="front-door",
        began_at=NOON,
        ended_at=NOON + timedelta(seconds=2),
        cause="network",
        code="eos",
        attempts=1,
    )
    began_at = NOON + timedelta(minutes=1)
    cut_short = replace(
        healed, began_at=began_at, ended_at=began_at + timedelta(hours=1), repaired=False
    )
    store.save_outage(healed)
    store.save_outage(replace(cut_short, ended_at=None, repaired=True))
    store.save_outage(cut_short)
    store.close()

    store = open_store(tmp_path)
    assert store.totals() == {
        "front-door": Totals(outages=2, outage_s=3602.0, repairs=1, repaired_s=2.0)
    }
    assert store.outages("front-door") == [healed, cut_short]


def test_the_directory_and_its_files_are_private(tmp_path: Path, open_store: Open) -> None:
    """Nobody but the owner can look into the store."""
    open_store(tmp_path / "state")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "state", *(tmp_path / "state").iterdir())
    }
    assert modes.pop("state") == 0o700
    assert set(modes.values()) == {0o600}
    assert {"lock", "manager.db", "manager.db-wal"} <= set(modes)


def test_a_second_manager_is_refused_with_the_pid_of_the_first(
    tmp_path: Path, open_store: Open
) -> None:
    """Two managers never share a directory; the refusal says whom to stop."""
    store = open_store(tmp_path)
    with pytest.raises(
        AlreadyRunning, match=f"in use by the stream-manager with pid {os.getpid()}"
    ):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path)


def test_a_lock_without_a_pid_still_refuses(tmp_path: Path) -> None:
    """A lock file that a full disk left empty locks all the same."""
    lock = lock_directory(tmp_path)
    (tmp_path / "lock").write_text("")
    with pytest.raises(AlreadyRunning, match="in use by another process") as refusal:
        lock_directory(tmp_path)
    assert refusal.value.pid is None
    lock.release()
    lock.release()
    lock_directory(tmp_path).release()


def test_a_directory_that_others_rule_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a link nor a directory that others own or can write is taken, or touched."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)
    with pytest.raises(UsageError, match="/link is a symbolic link"):
        lock_directory(tmp_path / "link")
    with pytest.raises(UsageError, match="/dangling is a symbolic link"):
        lock_directory(tmp_path / "dangling")
    with pytest.raises(UsageError, match=r"/shared can be written .*mode 770.*: chmod go-w /"):
        lock_directory(tmp_path / "shared")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UsageError, match=rf"/real belongs to user {owner}.*: chown {owner + 1} /"):
        lock_directory(tmp_path / "real")
    assert [*(tmp_path / "real").iterdir(), *(tmp_path / "shared").iterdir()] == []
