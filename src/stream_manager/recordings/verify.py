"""Compares every segment of a range with its file: there, as long as known, rightly built."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from stream_manager.errors import OutsideError
from stream_manager.recordings.audit import ANNOUNCED_WITHIN
from stream_manager.recordings.catalogue import Catalogue, located, read_catalogue
from stream_manager.recordings.structure import defect
from stream_manager.recordings.survey import Found, files, streams
from stream_manager.recordings.times import Range
from stream_manager.store.queries import read_index, read_volumes
from stream_manager.store.segments import Segment, SegmentState

# A file's name tells its beginning less exactly than the index does.
NAMED_WITHIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A file on a volume that no segment stands for."""

    volume: str
    path: Path
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is to be verified: the `catalogue`, and what was found beside it.

    lost: volumes of which nothing is where they should be, with a sentence for each.
    """

    catalogue: Catalogue
    unknown: tuple[Unknown, ...]
    lost: Mapping[str, str]

    @property
    def present(self) -> list[Segment]:
        """The segments whose volumes are there."""
        return [it for it in self.catalogue.segments if it.volume not in self.lost]


def inspect(state_dir: Path, stream: str | None, within: Range, *, now: datetime) -> Inspection:
    """Read the index of a range and list the files. Raises as read_catalogue() does."""
    volumes = read_index(state_dir, read_volumes)
    # Files before index: what begins in between is then in the index, and not an unknown file.
    there = [
        Unknown(volume=id_, path=root / found.path, found=found)
        for id_, root in volumes.items()
        for name in (streams(root) if stream is None else [stream])
        for found in files(root, name)
        if within.holds(found.name.began_at) and found.name.began_at < now - ANNOUNCED_WITHIN
    ]
    wide = Range(
        since=within.since and within.since - NAMED_WITHIN,
        until=within.until and within.until + NAMED_WITHIN,
    )
    indexed = {it.key for it in read_catalogue(state_dir, stream, wide).segments}
    catalogue = read_catalogue(state_dir, stream, within)
    return Inspection(
        catalogue=catalogue,
        unknown=tuple(it for it in there if (it.volume, it.found.path) not in indexed),
        lost=_lost(catalogue),
    )


def problem(segment: Segment, volumes: Mapping[str, Path]) -> str | None:
    """Say what is wrong with a segment's file, or return None.

    One that is known to be cut off or unreadable need only be as it was when that was found, and
    one that is known to be missing must not be there.
    """
    try:
        path = located(volumes, segment)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None if segment.state is SegmentState.MISSING else "it is missing"
    except OSError as error:
        return f"it can't be opened: {error.strerror}"
    except OutsideError as error:
        return str(error)
    try:
        return _problem(segment, fd)
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    finally:
        os.close(fd)


def _problem(segment: Segment, fd: int) -> str | None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return "it is no file"
    if segment.state is SegmentState.MISSING:
        return "it was missing, and is there again"
    if segment.state is SegmentState.OPEN:
        return None
    if found.st_size != segment.bytes:
        return f"it has {found.st_size} bytes, and had {segment.bytes}"
    if segment.state is SegmentState.UNREADABLE:
        return None
    cut_off = segment.state is SegmentState.TRUNCATED
    return defect(segment.container, fd, found.st_size, cut_off=cut_off)


def _lost(catalogue: Catalogue) -> dict[str, str]:
    lost = {}
    for id_, root in catalogue.volumes.items():
        here = [
            it
            for it in catalogue.segments
            if it.volume == id_ and it.state is not SegmentState.MISSING
        ]
        if here and not any(_is_directory(root / name) for name in {it.stream for it in here}):
            lost[id_] = (
                f"volume {id_}: none of its {len(here)} files is at {root}; is its disk mounted?"
            )
    return lost


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
