"""Joins the segments of a range into one file, with a manifest of what it was made of."""

import errno
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from stream_manager.errors import OutsideError, UsageError
from stream_manager.pipelines.containers import Muxed
from stream_manager.recordings import ffmpeg
from stream_manager.recordings.catalogue import (
    Json,
    extent,
    gap_to_json,
    located,
    read_catalogue,
    read_gaps,
)
from stream_manager.recordings.gaps import Gap
from stream_manager.recordings.joining import (
    Part,
    chosen,
    container_of,
    lacking,
    listing,
    positions_s,
    refuse_changes,
    refuse_long,
)
from stream_manager.recordings.publishing import create, publish, sync
from stream_manager.recordings.structure import readable_bytes
from stream_manager.recordings.times import Range
from stream_manager.store.rows import to_text, to_text_or_none
from stream_manager.store.segments import Segment

CHUNK_BYTES = 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What goes into `file`, checked; nothing has been written yet."""

    stream: str
    asked: Range
    file: Path
    container: Muxed
    parts: tuple[Part, ...]
    gaps: tuple[Gap, ...]

    @property
    def length_s(self) -> float | None:
        """How long it is at most; None: until its last picture."""
        until = self.asked.until
        return None if until is None else (until - self.parts[0].began_at).total_seconds()

    @property
    def bytes(self) -> int:
        """How much is read."""
        return sum(part.bytes for part in self.parts)

    @property
    def manifest(self) -> Path:
        """Where it is told what the file was made of."""
        return self.file.with_name(f"{self.file.name}.json")

    @property
    def partial(self) -> Path:
        """What the file is called until it is whole."""
        return self.file.with_name(f"{self.file.name}.part")


def prepare(
    state_dir: Path,
    stream: str,
    asked: Range,
    file: Path,
    *,
    now: datetime,
    command: Callable[[str], str],
) -> Export:
    """Find out what an export needs. Raises UsageError or OutsideError if it is impossible.

    command: returns how a command, like "segments export …", is typed for these recordings.
    """
    ffmpeg.require()
    catalogue = read_catalogue(state_dir, stream, asked)
    segments = chosen(catalogue.segments, asked)
    if not segments:
        raise OutsideError(
            f"nothing of {stream} is recorded in this range; {extent(state_dir, stream)}"
        )
    if not file.suffix:
        file = file.with_name(f"{file.name}.{segments[0].container}")
    container = container_of(file, segments)
    refuse_changes(segments, asked, file, command)
    gaps = tuple(read_gaps(state_dir, stream, asked, now=now))
    read = [_part(it, located(catalogue.volumes, it), command) for it in segments]
    parts = _entered([it for it in read if it.bytes], asked.since)
    ended_at = min(asked.until or now, segments[-1].ended_at or now)
    refuse_long(container, gaps, parts[0].began_at, ended_at)
    export = Export(
        stream=stream,
        asked=asked,
        file=file.absolute(),
        container=container,
        parts=tuple(parts),
        gaps=gaps,
    )
    _refuse_target(export)
    return export


def run(export: Export, *, on_bytes: Callable[[int], None]) -> Json:
    """Write file and manifest, and return the manifest; what fails leaves neither.

    on_bytes is told how much is done, of twice `export.bytes`. Raises OutsideError.
    """
    with (
        _telling_of_disks(export),
        _digests(export.parts) as digests,
        ExitStack() as undo,
    ):
        create(export.partial, undo)
        ffmpeg.join(
            listing(export.parts),
            export.partial,
            export.container,
            length_s=export.length_s,
            on_bytes=on_bytes,
        )
        size = export.partial.stat().st_size
        digest = _digest(export.partial, size, lambda done: on_bytes(export.bytes + done))
        manifest = _manifest(export, size, digest, digests.result())
        written = export.manifest.with_name(f"{export.manifest.name}.part")
        create(written, undo)
        written.write_text(json.dumps(manifest, indent=2) + "\n")
        for path in (export.partial, written):
            sync(path)
        publish(export.partial, export.file, undo)
        publish(written, export.manifest, undo)
        undo.pop_all()
    return manifest


def _part(segment: Segment, path: Path, command: Callable[[str], str]) -> Part:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OutsideError(
            f"{path} can't be read: {error.strerror}; what else is wrong tells:"
            f" {command(f'segments verify {segment.stream}')}"
        ) from error
    try:
        size = os.fstat(fd).st_size
        readable = readable_bytes(segment.container, fd, size)
    finally:
        os.close(fd)
    return Part(segment=segment, path=path, bytes=readable, whole=readable == size)


def _entered(parts: Sequence[Part], since: datetime | None) -> list[Part]:
    """Let the first part begin at the last keyframe at or before `since`."""
    if not parts:
        raise OutsideError("nothing of it has reached the disk yet; try again in a second")
    first, *rest = parts
    if since is None or first.segment.began_at >= since:
        return [*parts]
    within_s = (since - first.segment.began_at).total_seconds()
    pictures = ffmpeg.pictures(first.url, within_s=within_s)
    first_s = pictures[0][0]
    keys = [at_s for at_s, is_key in pictures if is_key and at_s - first_s <= within_s]
    return [replace(first, first_s=first_s, inpoint_s=keys[-1] if keys else None), *rest]


def _refuse_target(export: Export) -> None:
    directory = export.file.parent
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is no directory; make it first: mkdir -p {shlex.quote(str(directory))}"
        )
    for path in (export.file, export.manifest):
        if os.path.lexists(path):
            raise UsageError(f"{path} is there already, and is not overwritten")
    free = shutil.disk_usage(directory).free
    if free < export.bytes:
        raise OutsideError(
            f"{directory} has too little room: {export.bytes} bytes are needed, {free} are free"
        )


@contextmanager
def _telling_of_disks(export: Export) -> Iterator[None]:
    """Say in the user's terms what a disk refused; the caller has removed by then what was made."""
    try:
        yield
    except (ffmpeg.JoinError, OSError) as error:
        full = error.disk_full if isinstance(error, ffmpeg.JoinError) else error.errno in FULL
        directory = export.file.parent
        if full:
            free = shutil.disk_usage(directory).free
            raise OutsideError(
                f"the disk of {export.file} is full: more than {max(export.bytes, free)} bytes are"
                f" needed, {free} are free; what was written has been removed"
            ) from error
        if isinstance(error, OSError):
            raise OutsideError(f"{export.file} can't be written: {error.strerror}") from error
        raise


@contextmanager
def _digests(parts: Sequence[Part]) -> Iterator[Future[list[str]]]:
    """Compute the SHA-256 of what is read of each part, in a thread, while the block runs."""
    ended = Event()

    def compute() -> list[str]:
        return [_digest(it.path, it.bytes, lambda _: None) for it in parts if not ended.is_set()]

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield pool.submit(compute)
        finally:
            ended.set()


def _digest(path: Path, size: int, on_bytes: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file's first `size` bytes; on_bytes hears how far it is."""
    digest, left = hashlib.sha256(), size
    try:
        with path.open("rb", buffering=0) as file:
            while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
                on_bytes(size - left)
    except OSError as error:
        raise OutsideError(f"{path} can't be read: {error.strerror}") from error
    if left:
        raise OutsideError(f"{path} has become shorter while it was read")
    return digest.hexdigest()


def _manifest(export: Export, size: int, digest: str, digests: Sequence[str]) -> Json:
    began_at = export.parts[0].began_at
    length = timedelta(seconds=ffmpeg.length_s(export.partial))
    ended_at = began_at + length
    asked = (export.asked.since, export.asked.until)
    return {
        "stream": export.stream,
        "asked": dict(zip(("from", "to"), map(to_text_or_none, asked), strict=True)),
        "exported": {"from": to_text(began_at), "to": to_text(ended_at)},
        "file": export.file.name,
        "bytes": size,
        "sha256": digest,
        "segments": [
            {
                "path": str(part.path),
                "began_at": to_text(part.segment.began_at),
                "duration_s": part.segment.duration_s,
                "state": part.segment.state.value,
                "position_s": round(position_s, 6),
                "bytes": part.bytes,
                "sha256": its_digest,
            }
            for part, position_s, its_digest in zip(
                export.parts, positions_s(export.parts), digests, strict=True
            )
        ],
        "gaps": [gap_to_json(gap) for gap in export.gaps],
        "lacking": [
            {"track": it.kind, "from": to_text(it.began_at), "to": to_text(it.ended_at)}
            for it in lacking(export.parts, ended_at)
        ],
    }
