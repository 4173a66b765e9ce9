"""A process is told from a later one with its pid, and only our own is ended."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_manager.clock import SystemClock
from stream_manager.pipelines.identity import start_ticks
from stream_manager.store import Store
from stream_manager.streams.processes import boot_id, end_leftover, leftovers


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that would wait for ever."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a store in which nothing is known yet."""
    store = Store.open(tmp_path, clock=SystemClock(), on_fault=lambda _: None)
    yield store
    store.close()


def test_start_ticks_name_a_process(child: subprocess.Popen[bytes]) -> None:
    """They stay the same while it lives, differ from those of others, and end with it."""
    ticks = start_ticks(child.pid)
    assert ticks is not None
    assert ticks == start_ticks(child.pid)
    assert ticks != start_ticks(1)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_ticks(child.pid) is None  # a zombie runs no more
    child.wait()
    assert start_ticks(child.pid) is None


def test_a_name_with_brackets_confuses_nobody(tmp_path: Path) -> None:
    """The name of a program may hold what separates fields."""
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as process:
        deadline_s = time.monotonic() + 5
        while b"sleep" in Path(f"/proc/{process.pid}/comm").read_bytes():
            assert time.monotonic() < deadline_s
        assert start_ticks(process.pid) is not None
        process.kill()


def test_what_an_earlier_manager_left_is_ended(
    store: Store, child: subprocess.Popen[bytes]
) -> None:
    """It is asked, gone, and forgotten."""
    store.save_worker("cam", child.pid, start_ticks(child.pid) or 0, boot_id(), 3)

    async def end() -> None:
        ((row,), _) = leftovers(store)
        ending = asyncio.create_task(end_leftover(row, store, SystemClock(), within_s=4.0))
        assert await asyncio.to_thread(child.wait, 5) == -15
        await ending

    asyncio.run(end())
    assert store.workers() == []


def test_what_ignores_sigterm_is_killed(store: Store) -> None:
    """No two workers record one stream, however stubborn the first one is."""
    script = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        store.save_worker("cam", stubborn.pid, start_ticks(stubborn.pid) or 0, boot_id(), 3)

        async def end() -> int:
            ((row,), _) = leftovers(store)
            ending = asyncio.create_task(end_leftover(row, store, SystemClock(), within_s=0.2))
            status = await asyncio.to_thread(stubborn.wait, 5)
            await ending
            return status

        assert asyncio.run(end()) == -9


@pytest.mark.parametrize("stranger", ["later", "other-boot"])
def test_a_stranger_with_the_same_pid_is_left_alone(
    store: Store, child: subprocess.Popen[bytes], stranger: str
) -> None:
    """Another start time, or another boot, is another process."""
    ticks = start_ticks(child.pid) or 0
    if stranger == "later":
        store.save_worker("cam", child.pid, ticks - 1, boot_id(), 3)
    else:
        store.save_worker("cam", child.pid, ticks, "another boot", 3)
    alive, ended = leftovers(store)
    assert not alive
    # Of another boot nothing ended by itself: the machine did.
    assert [row.pid for row in ended] == ([child.pid] if stranger == "later" else [])
    assert child.poll() is None
    assert store.workers() == []
