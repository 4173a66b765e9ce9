"""The store across real processes: killed writers, two managers, a disk that has no room."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream_manager.clock import SystemClock
from stream_manager.store import AlreadyRunning, Store

pytestmark = pytest.mark.media

WRITE = """
import asyncio, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from stream_manager.clock import SystemClock
from stream_manager.store import Entry, Store

def entry(seq):
    return Entry(
        seq=seq, because=None, at=datetime.now(UTC), stream="front-door", component="source",
        epoch=1, event="failed", rule="network", cause=None, fault_class=None, code=None,
        message="x" * 500, before="running", after="tearing_down", attempt=0,
        next_attempt_at=None, saw={}, actions=(),
    )

store = Store.open(Path(sys.argv[1]), clock=SystemClock(), on_fault=lambda text: None)
"""

FOREVER = (
    WRITE
    + """
async def main():
    seq = store.last_seq()
    while True:
        seq += 1
        if await store.write([entry(seq)], at_most_s=10):
            print(seq, flush=True)

asyncio.run(main())
"""
)

WITHOUT_ROOM = (
    WRITE
    + """
async def main():
    no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, no_limit[1]))
    seq = 0
    while store.health().state == "ok":
        seq += 1
        await store.write([entry(seq)], at_most_s=10)
    print("failing", flush=True)
    for seq in range(seq + 1, seq + 1001):
        await store.write([entry(seq)], at_most_s=10)
    resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
    while store.health().state != "ok":
        await asyncio.sleep(0.01)
    store.close()
    print(seq, flush=True)

asyncio.run(main())
"""
)


def run(script: str, state_dir: Path) -> subprocess.Popen[str]:
    """Start a process that uses the store in `state_dir`."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(state_dir)], stdout=subprocess.PIPE, text=True
    )


def test_what_was_committed_outlives_a_kill(tmp_path: Path) -> None:
    """Every entry that write() confirmed is there after SIGKILL; numbers go on without a gap."""
    confirmed = 0
    for _ in range(3):
        with run(FOREVER, tmp_path) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            assert first > confirmed
            lines = [process.stdout.readline() for _ in range(100)]
            process.kill()
            rest = process.stdout.read()
            confirmed = int((lines + rest.splitlines(keepends=True))[-1])
    faults: list[str] = []
    store = Store.open(tmp_path, clock=SystemClock(), on_fault=faults.append)
    seqs = [entry.seq for entry in store.journal(limit=100_000)]
    store.close()
    assert seqs == list(range(1, seqs[-1] + 1))
    assert seqs[-1] >= confirmed
    assert faults == []


def test_a_live_manager_s_directory_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    """The refusal names the other process, and a killed one leaves nothing to clean up."""
    with run(FOREVER, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(AlreadyRunning, match=str(process.pid)) as refusal:
            Store.open(tmp_path, clock=SystemClock(), on_fault=pytest.fail)
        assert refusal.value.pid == process.pid
        process.kill()
        process.stdout.read()
    Store.open(tmp_path, clock=SystemClock(), on_fault=pytest.fail).close()


def test_a_disk_without_room_delays_the_journal_and_loses_nothing(tmp_path: Path) -> None:
    """Entries made while files could not grow are all there once they can."""
    with run(WITHOUT_ROOM, tmp_path) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    word, last = out.split()
    assert word == "failing"
    store = Store.open(tmp_path, clock=SystemClock(), on_fault=pytest.fail)
    entries = store.journal(limit=100_000)
    store.close()
    assert [entry.seq for entry in entries] == list(range(1, int(last) + 1))
    assert entries[-1].late
    assert not entries[0].late
