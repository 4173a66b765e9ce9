"""How a file comes into being whole or not at all: made under another name, then given its own.

Nothing that was there is overwritten. Each step tells an ExitStack how it is undone.
"""

import errno
import os
from contextlib import ExitStack
from pathlib import Path

from stream_manager.errors import OutsideError

LINKLESS = {errno.EPERM, errno.ENOTSUP}  # what a file system says that has no hard links
FILE_MODE = 0o600


def create(path: Path, undo: ExitStack) -> None:
    """Make an empty file that was not there; `undo` removes it again."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
    except FileExistsError as error:
        raise OutsideError(
            f"{path} is there: another export runs, or one was killed; then remove it"
        ) from error
    undo.callback(path.unlink, missing_ok=True)


def publish(written: Path, path: Path, undo: ExitStack) -> None:
    """Give a file its name, unless another file has got that in the meantime."""
    try:
        try:
            os.link(written, path)
        except OSError as error:
            if error.errno not in LINKLESS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
            undo.callback(path.unlink, missing_ok=True)
            written.replace(path)
        else:
            undo.callback(path.unlink, missing_ok=True)
            written.unlink()
    except FileExistsError as error:
        raise OutsideError(
            f"{path} has appeared during the export, and is not overwritten: name another FILE"
        ) from error


def sync(path: Path) -> None:
    """Have a file on the disk, and not only on its way there."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
