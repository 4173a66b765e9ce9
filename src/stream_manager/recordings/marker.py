"""The mark at a volume's root, by which a disk that lost files is told from one not mounted.

Whoever may write at the root may have put something else in its place: neither a pipe, a link nor
a directory may block the reader, be written through, or cost a descriptor.
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

NAME = ".stream-manager-volume"
_ID = re.compile(r"[0-9a-f]{16}")
_READ_AT_MOST = 64
_MODE = 0o640


def read_marker(root: Path) -> str | None:
    """Return the id that stands at a volume's root; None if there is none that can be read."""
    with suppress(OSError):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(root / NAME, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            found = os.read(descriptor, _READ_AT_MOST).decode(errors="replace").strip()
        finally:
            os.close(descriptor)
        return found if _ID.fullmatch(found) else None
    return None


def write_marker(root: Path, id_: str) -> None:
    """Put an id at a volume's root, which is not made. Raises OSError; nothing is left then."""
    part = root / f"{NAME}.part"
    with suppress(FileNotFoundError):
        part.unlink()  # left by a kill, or put there: what it is or leads to is not ours to write
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, _MODE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{id_}\n")
        part.replace(root / NAME)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
