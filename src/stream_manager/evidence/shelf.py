"""Where evidence lies: STATE/incidents/NUMBER/SEQ, a folder for each finding; and how much.

A folder appears whole or not at all. When there is too much, the oldest incident of the stream
that has most goes, so that one stream in a loop of crashes leaves the others theirs.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stream_manager.evidence.finding import Kept

NAME = "incidents"
FACTS = "finding.json"
INCIDENTS_AT_MOST = 200
BYTES_AT_MOST = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One incident: its findings with the folders of their files, the oldest first."""

    number: int
    stream: str
    findings: tuple[tuple[Kept, Path], ...]

    @property
    def first(self) -> Kept:
        """The finding that opened it."""
        return self.findings[0][0]


class Shelf:
    """The incidents in one directory, for one writer. Every method may raise OSError."""

    def __init__(
        self,
        directory: Path,
        *,
        incidents_at_most: int = INCIDENTS_AT_MOST,
        bytes_at_most: int = BYTES_AT_MOST,
    ) -> None:
        self._directory = directory
        self._incidents_at_most = incidents_at_most
        self._bytes_at_most = bytes_at_most
        self._streams = {it.number: it.stream for it in read_cases(directory)}
        self._bytes = {number: _size(directory / str(number)) for number in self._streams}

    def put(self, kept: Kept, files: Mapping[str, str]) -> None:
        """Keep a finding, and make room for the next."""
        folder = self._directory / str(kept.number)
        if kept.seq == kept.number:
            shutil.rmtree(folder, ignore_errors=True)  # of a journal that had to begin anew
        fresh = self._directory / ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        try:
            for name, text in {FACTS: to_text(kept), **files}.items():
                _write(fresh / name, text)
            folder.mkdir(mode=0o700, exist_ok=True)
            fresh.rename(folder / str(kept.seq))
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()  # only an empty one goes
            raise
        self._streams[kept.number] = kept.stream
        self._bytes[kept.number] = _size(folder)
        self._make_room(kept.number)

    def _make_room(self, newest: int) -> None:
        while len(self._bytes) > 1 and (
            len(self._bytes) > self._incidents_at_most
            or sum(self._bytes.values()) > self._bytes_at_most
        ):
            has_most = Counter(self._streams.values()).most_common(1)[0][0]
            theirs = [it for it, stream in self._streams.items() if stream == has_most]
            oldest = min(set(theirs) - {newest} or set(self._streams) - {newest})
            shutil.rmtree(self._directory / str(oldest))
            del self._streams[oldest], self._bytes[oldest]


def read_cases(directory: Path) -> list[Case]:
    """Return all incidents that can be read, the oldest first; none where nothing is kept."""
    try:
        numbers = sorted(int(it.name) for it in directory.iterdir() if it.name.isdigit())
    except OSError:
        return []
    return [case for number in numbers if (case := read_case(directory, number)) is not None]


def read_case(directory: Path, number: int) -> Case | None:
    """Return one incident, or None where nothing is kept of it."""
    found: list[tuple[Kept, Path]] = []
    with suppress(OSError):
        for folder in (directory / str(number)).iterdir():
            with suppress(OSError, ValueError, TypeError, KeyError):  # not ours, or cut off
                found.append((from_text((folder / FACTS).read_text(encoding="utf-8")), folder))
    if not found:
        return None
    found.sort(key=lambda it: it[0].seq)
    return Case(number=number, stream=found[0][0].stream, findings=tuple(found))


def to_text(kept: Kept) -> str:
    """Return what is known of a finding as JSON."""
    return json.dumps(to_json(kept), indent=2) + "\n"


def to_json(kept: Kept) -> dict[str, Any]:
    """Return what is known of a finding as plain values, its time in UTC."""
    return {**asdict(kept), "at": kept.at.isoformat()}


def from_text(text: str) -> Kept:
    """Return what to_text() was given. Raises ValueError, TypeError or KeyError."""
    values = json.loads(text)
    return Kept(**{**values, "at": datetime.fromisoformat(values["at"])})


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _size(folder: Path) -> int:
    return sum(it.stat().st_size for it in folder.rglob("*") if it.is_file())
