"""The mark at a volume's root, by which a disk that lost files is told from one not mounted."""

import os
import re
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
        with os.fdopen(os.open(root / NAME, flags), "rb") as file:
            found = file.read(_READ_AT_MOST).decode(errors="replace").strip()
        return found if _ID.fullmatch(found) else None
    return None


def write_marker(root: Path, id_: str) -> None:
    """Put an id at a volume's root, which is not made. Raises OSError; nothing is left then."""
    part = root / f"{NAME}.part"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, _MODE), "w") as file:
            file.write(f"{id_}\n")
        part.replace(root / NAME)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
