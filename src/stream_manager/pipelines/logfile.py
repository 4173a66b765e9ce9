"""Standard output and error of a worker or the fork server: one file of bounded size."""

import os
from contextlib import suppress

LIMIT_BYTES = 1 << 20

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


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
