"""Compares a volume's files with the index. Blocks as long as the disk does: for a thread."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stream_manager.pipelines import names
from stream_manager.store.segments import Segment, SegmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file on a volume whose name is one of ours. `path` is relative to the volume."""

    path: str
    name: names.Name
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What differs between a stream's files on a volume and its index.

    missing: finished segments without a file. changed: those whose file has another size, or is
    there again. unknown: files that no segment stands for. first_at: when the first recording
    began that is still there, None where there is none. outlived: something that is missing, now
    or since long, lies before that.
    """

    stream: str
    missing: tuple[Segment, ...]
    changed: tuple[Segment, ...]
    unknown: tuple[Found, ...]
    first_at: datetime | None
    outlived: bool


def survey(root: Path, stream: str, segments: list[Segment], *, before: datetime) -> Survey:
    """Look at every file of a stream below `root`; a file of `before` or later is not unknown yet.

    `segments` are all that the index has of the stream there; those that are open are let be.
    Raises OSError where a directory can't be read: nothing is known of its files then.
    """
    found = {it.path: it for it in files(root, stream)}
    finished = [it for it in segments if it.state is not SegmentState.OPEN]
    indexed = {it.path for it in segments}
    present = [it.began_at for it in segments if it.path in found]
    present += [it.name.began_at for it in found.values()]
    first_at = min(present, default=None)
    return Survey(
        stream=stream,
        missing=tuple(
            it for it in finished if it.path not in found and it.state is not SegmentState.MISSING
        ),
        changed=tuple(
            it
            for it in finished
            if it.path in found
            and (found[it.path].bytes != it.bytes or it.state is SegmentState.MISSING)
        ),
        unknown=tuple(
            it for it in found.values() if it.path not in indexed and it.name.began_at < before
        ),
        first_at=first_at,
        outlived=first_at is not None
        and any(it.path not in found and it.began_at < first_at for it in finished),
    )


def streams(root: Path) -> list[str]:
    """Return the names of the directories on a volume: those of streams, and perhaps others."""
    return [directory.name for directory in _directories(root)]


def files(root: Path, stream: str) -> Iterator[Found]:
    """Yield a stream's recordings: ROOT/STREAM/DAY/FILE. Links are not followed. Raises OSError."""
    for day in _directories(root / stream):
        with suppress(FileNotFoundError), os.scandir(day) as entries:
            for entry in entries:
                name = names.parse(entry.name)
                if name is None or name.stream != stream:
                    continue
                with suppress(FileNotFoundError):  # gone a moment ago
                    if entry.is_file(follow_symlinks=False):
                        yield Found(
                            path=str(Path(stream, day.name, entry.name)),
                            name=name,
                            bytes=entry.stat(follow_symlinks=False).st_size,
                        )


def _directories(parent: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(parent) as entries:
        return [parent / it.name for it in entries if it.is_dir(follow_symlinks=False)]
    return []
