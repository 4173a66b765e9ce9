"""One manager for a directory: an flock, with the owner's pid in the file for people to read."""

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stream_manager.errors import OutsideError, UsageError


class AlreadyRunning(UsageError):  # noqa: N818 - the name says what is so, as the caller shows it
    """Another live process holds the directory; nothing was touched. `pid` is None if unknown."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory = directory
        self.pid = pid
        owner = "another process" if pid is None else f"the stream-manager with pid {pid}"
        super().__init__(
            f"{directory} is in use by {owner}; stop that one first, or give this one a directory"
            " of its own"
        )


@dataclass(slots=True, eq=False)
class Lock:
    """The right to write into `directory`, held until release() or the end of the process."""

    directory: Path
    _descriptor: int

    def release(self) -> None:
        """Give the directory back; a second call does nothing."""
        if self._descriptor < 0:
            return
        # No pid is better than the pid of a manager that is gone, should the next one read early.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1


def lock_directory(directory: Path) -> Lock:
    """Create `directory` (0700) if missing and lock it for this process.

    Raises AlreadyRunning if another process holds it, UsageError if it is a symbolic link or
    another user owns it or can write there, and OutsideError if it can't be created, written or
    locked (full, read-only, no permission).
    """
    try:
        return Lock(directory, _locked(directory))
    except OSError as error:
        raise OutsideError(f"{directory} can't be locked: {error.strerror}") from error


def _locked(directory: Path) -> int:
    with suppress(FileExistsError):  # what is there instead is told when it is opened
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _own(directory) as own:
        descriptor = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=own)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise AlreadyRunning(directory, int(text) if text.isdecimal() else None) from None
    except OSError:
        os.close(descriptor)
        raise
    # A full disk can refuse these few bytes; the lock itself holds without them.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def is_locked(directory: Path) -> bool:
    """Tell whether a manager holds `directory`; one that is not there is free."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _own(directory: Path) -> Iterator[int]:
    """Yield a descriptor of `directory` once it is seen that nobody else can put files there."""
    if directory.is_symlink():
        raise UsageError(
            f"{directory} is a symbolic link, which may lead anywhere: name the directory itself"
        )
    # O_NOFOLLOW for the link that takes its place between the look and the opening.
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(directory, flags)
    try:
        found = os.fstat(descriptor)
        mend = "or give this manager another directory"
        if found.st_uid != os.geteuid():
            raise UsageError(
                f"{directory} belongs to user {found.st_uid}, and this is user {os.geteuid()}:"
                f" chown {os.geteuid()} {shlex.quote(str(directory))}, {mend}"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"{directory} can be written by other users (mode"
                f" {stat.S_IMODE(found.st_mode):o}):"
                f" chmod go-w {shlex.quote(str(directory))}, {mend}"
            )
        yield descriptor
    finally:
        os.close(descriptor)
