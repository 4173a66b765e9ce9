"""The mark at a volume's root, by which a disk that lost files is told from one not mounted.

Whoever may write at the root may have put something else in its place: neither a pipe, a link nor
a directory may block the reader, be written through, or cost a descriptor.
"""

import errno
import os
import pwd
import re
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NAME = ".stream-manager-volume"
_ID = re.compile(r"[0-9a-f]{16}")
_READ_AT_MOST = 64
_MODE = 0o640
ABSENT = "is not there"
_NO_FILE = "is no file"
_NO_ID = "holds no id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What stands at a volume's root: an `id`, or why there is none, as a mark's predicate."""

    id: str | None = None
    lack: str = ""

    def __post_init__(self) -> None:
        """Refuse a mark that says neither or both."""
        assert bool(self.id) != bool(self.lack)


def read_marker(root: Path) -> Marker:
    """Return what stands at a volume's root. Raises nothing: what can't be read is told."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(root / NAME, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Marker(lack=_NO_FILE)
            found = os.read(descriptor, _READ_AT_MOST).decode(errors="replace").strip()
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return Marker(lack=ABSENT)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "EIO")
        return Marker(lack=f"can't be read ({name}: {error.strerror})")
    return Marker(id=found) if _ID.fullmatch(found) else Marker(lack=_NO_ID)


def mend(root: Path, id_: str, found: Marker) -> str:
    """Return the command by which an operator says that a volume is the one of an id.

    The volume belongs to this process's user: neither the operator's shell nor root, on a network
    file system, need be able to write there. What stands there may be another's, so it goes first.
    """
    uid = os.geteuid()
    try:
        user = shlex.quote(pwd.getpwuid(uid).pw_name)
    except KeyError:
        user = f"'#{uid}'"
    path = shlex.quote(str(root / NAME))
    write = f"echo {id_} | sudo -u {user} tee {path}"
    return write if found.lack == ABSENT else f"sudo -u {user} rm -rf {path} && {write}"


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
