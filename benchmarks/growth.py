"""Bytes on disk: the one proof of a recording, ours or another's."""

import os
import select
import signal
import time
from pathlib import Path

POLL_S = 0.002


def bytes_below(directory: Path) -> int:
    """Return the size of all files below a directory, 0 if it does not exist."""
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            size += (Path(folder) / name).stat().st_size
    return size


def wait_for_growth(directory: Path, *, beyond: int, within_s: float) -> float:
    """Return the monotonic instant at which more than `beyond` bytes were there.

    Raises TimeoutError.
    """
    deadline_s = time.monotonic() + within_s
    while bytes_below(directory) <= beyond:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{directory.name}: no byte was recorded within {within_s:g} s")
        time.sleep(POLL_S)
    return time.monotonic()


def end(pid: int, *, by: signal.Signals, within_s: float) -> float:
    """Send a process a signal that ends it, at last; return the monotonic instant of the signal.

    Raises TimeoutError.
    """
    pidfd = os.pidfd_open(pid)
    try:
        sent_s = time.monotonic()
        signal.pidfd_send_signal(pidfd, by)
        if not select.select([pidfd], [], [], within_s)[0]:
            raise TimeoutError(f"process {pid} survived {by.name} for {within_s:g} s")
        return sent_s
    finally:
        os.close(pidfd)


def heal_s(
    pid: int, directory: Path, *, within_s: float, by: signal.Signals = signal.SIGKILL
) -> float:
    """End the process that writes to `directory`; return the time until someone writes there.

    Counted from just before the signal. Bytes are compared with what was there when the process had
    ended, so that what it wrote itself is no growth. Raises TimeoutError.
    """
    sent_s = end(pid, by=by, within_s=within_s)
    left = bytes_below(directory)
    return wait_for_growth(directory, beyond=left, within_s=within_s) - sent_s
