"""Standard output and error of a worker or the fork server: one file of bounded size."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime

LIMIT_BYTES = 1 << 20

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_HEAD = "=== epoch {epoch}, pid {pid}, {at}"
_HEADS = re.compile(r"^=== epoch (\d+), pid \d+, .+$", re.MULTILINE)


def open_log(path: str) -> int:
    """Return a descriptor that appends to `path`, mode 0600.

    A disk that takes no log must not keep a stream from running: then it leads to /dev/null.
    """
    try:
        return os.open(path, _FLAGS, 0o600)
    except OSError:
        return os.open(os.devnull, _FLAGS)


def become_output(log_fd: int) -> None:
    """Put `log_fd` in the place of descriptors 1 and 2, and close it."""
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)


def head(*, epoch: int, at: float) -> None:
    """Say in the log where the worker of `epoch` begins, at `at` in UTC seconds."""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    line = _HEAD.format(epoch=epoch, pid=os.getpid(), at=when)
    with suppress(OSError):  # a full disk
        os.write(2, f"{line}\n".encode())


def of_epoch(text: str, epoch: int) -> str:
    """Return what the worker of `epoch` wrote into the log `text`, its head included.

    Where its head was rotated away, that is what stands before the head of the next one.
    """
    heads = list(_HEADS.finditer(text))
    if not heads:
        return text
    ends = [*(it.start() for it in heads[1:]), len(text)]
    for head, end in reversed(list(zip(heads, ends, strict=True))):
        if int(head[1]) == epoch:
            return text[head.start() : end]
    is_older = int(heads[0][1]) < epoch  # then this one's log could not be opened
    return "" if is_older else text[: heads[0].start()]


def keep_short(path: str) -> None:
    """Rename the log to `path`.1 once it is past LIMIT_BYTES, and go on in a new one.

    Everything that writes to descriptors 1 and 2 follows: C libraries, faulthandler, Python.
    Raises OSError when there is no room for a new one; then the old one is still written to,
    and a later call tries again.
    """
    if os.fstat(2).st_size <= LIMIT_BYTES:
        return
    fresh = path + ".new"
    log_fd = os.open(fresh, _FLAGS, 0o600)
    try:
        with suppress(FileNotFoundError):  # renamed by the call before, which failed after that
            os.replace(path, path + ".1")  # noqa: PTH105 - Path.replace adds nothing to a string
        os.replace(fresh, path)  # noqa: PTH105 - the same
    except OSError:
        os.close(log_fd)
        raise
    become_output(log_fd)
