"""Where a segment's file lies: DIRECTORY/STREAM/2026-01-31/STREAM_2026-01-31T23-59-59.123Z.ts.

Names sort by time, for they are in UTC and of fixed width. Nothing is ever overwritten: a file
is created or the next free name is taken.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
        stem = f"{stream}_{at:%Y-%m-%dT%H-%M-%S}.{at.microsecond // 1000:03d}Z"
        day = directory / f"{at:%Y-%m-%d}"
        yield day / f"{stem}.{extension}"
        yield from (day / f"{stem}_{number}.{extension}" for number in range(2, 10))
        at += timedelta(milliseconds=1)
