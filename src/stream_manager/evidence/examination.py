"""A process that hangs, looked at before it is ended: its threads, then its own stacks.

The kernel tells what each thread waits in. The stacks of Python the process has to write itself,
from a signal's handler in C, which needs no lock and no main loop, but a thread that still runs.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream_manager.evidence.threads import can_not_answer, threads_of, told

ANSWER_WITHIN_S = 0.15
POLL_S = 0.01
LARGEST_BYTES = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen, as text; `stacks` says why where there are none."""

    threads: str
    stacks: str


def examine(pid: int, log_path: Path, ask: Callable[[], object]) -> Examination:
    """Look at a process; `ask` sends it the signal that makes it write its stacks into its log.

    Takes ANSWER_WITHIN_S at the most where disks answer; never call it on an event loop.
    """
    threads = threads_of(pid)
    seen = told(pid, threads)
    if can_not_answer(threads):
        states = "".join(sorted({it.state for it in threads})) or "gone"
        return Examination(
            threads=seen, stacks=f"none: no thread of it runs (state {states}), so it writes none\n"
        )
    before = _size(log_path)
    ask()
    written = _awaited(log_path, before)
    return Examination(threads=seen, stacks=written or "none: it did not answer the signal\n")


def _awaited(log_path: Path, before: int) -> str:
    """Return what a log grew by once it grows no more."""
    size = before
    for _ in range(int(ANSWER_WITHIN_S / POLL_S)):
        time.sleep(POLL_S)
        last, size = size, _size(log_path)
        if size == last > before:
            break
    try:
        with log_path.open("rb") as log:
            log.seek(before)
            return log.read(LARGEST_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - Path.stat adds nothing
    except OSError:
        return 0
