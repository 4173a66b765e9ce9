"""Where a segment's file lies: DIRECTORY/STREAM/2026-01-31/STREAM_2026-01-31T23-59-59.123Z.ts.

Names sort by time, for they are in UTC and of fixed width. Nothing is ever overwritten: a file
is created or the next free name is taken.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_TIME = "%Y-%m-%dT%H-%M-%S"
_NAME = re.compile(
    r"(?P<stream>.+)_(?P<second>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)\.(?P<ms>\d{3})Z(?:_\d)?"
    r"\.(?P<extension>ts|mkv|mp4)",
    re.ASCII,
)
_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750


def create(directory: Path, stream: str, began_at: float, extension: str) -> tuple[Path, int]:
    """Create the file of a segment that began at `began_at` (UTC seconds); return path and fd.

    Directories of stream and day are made when missing, the volume's root is not: a volume that
    was unmounted must not fill the disk below it. Raises OSError, which names the path.
    """
    for path in _candidates(directory / stream, stream, began_at, extension):
        for parent in (path.parent.parent, path.parent):
            with suppress(FileExistsError):
                parent.mkdir(_DIRECTORY_MODE)
        with suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return path, os.open(path, flags, _FILE_MODE)
    raise AssertionError("candidates never end")


def _candidates(directory: Path, stream: str, began_at: float, extension: str) -> Iterator[Path]:
    """Yield names for ever, each sorting after the one before.

    One digit of suffix keeps the order ("_10" would sort before "_2"); past it the name moves on
    by a millisecond.
    """
    at = datetime.fromtimestamp(began_at, UTC)
    while True:
        stem = f"{stream}_{at:{_TIME}}.{at.microsecond // 1000:03d}Z"
        day = directory / f"{at:%Y-%m-%d}"
        yield day / f"{stem}.{extension}"
        yield from (day / f"{stem}_{number}.{extension}" for number in range(2, 10))
        at += timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What a file's name tells: of which stream it is, when it began (UTC), and its container."""

    stream: str
    began_at: datetime
    container: str


def parse(name: str) -> Name | None:
    """Return what the name of a file tells, or None where it is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        second = datetime.strptime(found["second"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Name(
        stream=found["stream"],
        began_at=second + timedelta(milliseconds=int(found["ms"])),
        container=found["extension"],
    )
