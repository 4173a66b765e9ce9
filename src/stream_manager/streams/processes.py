"""Workers of an earlier manager that the store knows: which of them live, and their end."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from stream_manager.clock import Clock
from stream_manager.pipelines.identity import start_ticks
from stream_manager.store import Store, WorkerRow

POLL_S = 0.05


def boot_id() -> str:
    """Return the name of this boot; pids and start times mean nothing in another."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def leftovers(store: Store) -> tuple[list[WorkerRow], list[WorkerRow]]:
    """Return the workers of an earlier manager that still live, and those that have ended since.

    A recycled pid is never taken for one: boot, pid and start time must all be those saved. What
    does not live is forgotten; of another boot nothing ended by itself.
    """
    this_boot = boot_id()
    known = store.workers()
    alive = [row for row in known if row.boot_id == this_boot and _lives(row)]
    for row in known:
        if row not in alive:
            store.forget_worker(row.stream)
    return alive, [row for row in known if row.boot_id == this_boot and row not in alive]


def _lives(row: WorkerRow) -> bool:
    return start_ticks(row.pid) == row.start_ticks


async def end_leftover(row: WorkerRow, store: Store, clock: Clock, *, within_s: float) -> None:
    """End a worker of an earlier manager without talking to it: SIGTERM, then SIGKILL.

    Each has `within_s`; one that can't be ended is left to the kernel, and remembered.
    """
    try:
        pidfd = os.pidfd_open(row.pid)
    except OSError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not _lives(row):
                return
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)
            deadline_s = clock.monotonic_s() + within_s
            while _lives(row) and clock.monotonic_s() < deadline_s:
                await clock.sleep(POLL_S)
    finally:
        os.close(pidfd)
        if not _lives(row):
            store.forget_worker(row.stream)
