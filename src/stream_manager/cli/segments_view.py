"""How segments, gaps and verdicts are put for people: aligned lines, times in local time."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.filesize import decimal as size

from stream_manager.cli.words import plain, seconds, stamp
from stream_manager.recordings.catalogue import overlaps_s
from stream_manager.recordings.gaps import Gap
from stream_manager.recordings.verify import Inspection
from stream_manager.recovery import span
from stream_manager.store.segments import Segment, SegmentState

UNKNOWN_SHOWN = 20

_SEGMENTS = ("STREAM", "BEGAN", "LASTS", "SIZE", "TRACKS", "STATE", "FILE")
_GAPS = ("STREAM", "BEGAN", "ENDED", "LASTED", "CAUSE", "CODE", "OUTAGE")
_NUMBERS = frozenset({"LASTS", "SIZE", "LASTED", "OUTAGE"})


def segment_lines(segments: Sequence[Segment], volumes: Mapping[str, Path]) -> Iterator[str]:
    """Yield a line a segment, and their totals."""
    rows = [
        (
            it.stream,
            stamp(it.began_at),
            "-" if it.duration_s is None else seconds(it.duration_s),
            "-" if it.bytes is None else size(it.bytes),
            _tracks(it),
            it.state.value,
            str(volumes.get(it.volume, Path()) / it.path),
        )
        for it in segments
    ]
    yield from _columns(_SEGMENTS, rows)
    lasts_s = sum(it.duration_s or 0.0 for it in segments)
    total = size(sum(it.bytes or 0 for it in segments))
    yield f"{count(len(segments), 'file')}, {span(lasts_s)}, {total}"
    for it, twice_s in zip(segments, overlaps_s(segments), strict=True):
        if twice_s:
            yield (
                f"{it.stream}: {seconds(twice_s)} from {stamp(it.began_at)} are in the file before"
                " as well: its worker was replaced by one that was up first"
            )


def gap_lines(gaps: Sequence[Gap], now: datetime) -> Iterator[str]:
    """Yield a line a gap, and how long nothing was recorded in all."""
    lengths_s = [((it.ended_at or now) - it.began_at).total_seconds() for it in gaps]
    rows = [
        (
            it.stream,
            stamp(it.began_at),
            "lasts" if it.ended_at is None else stamp(it.ended_at),
            seconds(length_s),
            it.cause,
            it.code or "-",
            "-" if it.outage_s is None else seconds(it.outage_s),
        )
        for it, length_s in zip(gaps, lengths_s, strict=True)
    ]
    yield from _columns(_GAPS, rows)
    yield f"{count(len(gaps), 'gap')}, {seconds(sum(lengths_s))}"


def verdict_lines(found: Inspection, wrong: Sequence[tuple[Segment, str]]) -> Iterator[str]:
    """Yield what is wrong, what is not indexed, and how many files are as they should be."""
    volumes = found.catalogue.volumes
    yield from found.lost.values()
    for segment, text in wrong:
        yield plain(f"wrong: {volumes.get(segment.volume, Path()) / segment.path}: {text}")
    for unknown in found.unknown[:UNKNOWN_SHOWN]:
        yield plain(f"not indexed: {unknown.path}, {size(unknown.found.bytes)}")
    if (more := len(found.unknown) - UNKNOWN_SHOWN) > 0:
        yield f"not indexed: {more} more"
    if found.unknown:
        yield "a running manager looks at files that are not indexed once an hour, and at its start"
    states = Counter(it.state.value for it in found.present)
    if gone := states[SegmentState.MISSING.value]:
        yield f"{count(gone, 'file')} known to be gone: gaps, with the cause file-missing"
    shown = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    right = len(found.present) - len(wrong)
    yield (
        f"{count(len(found.present), 'file')} verified{f' ({shown})' if shown else ''}:"
        f" {right} as indexed, {len(wrong)} wrong; {len(found.unknown)} not indexed"
    )


def export_lines(manifest: Mapping[str, Any], file: Path, now: datetime) -> Iterator[str]:
    """Yield what an export holds, and what it lacks."""
    began_at, ended_at = (datetime.fromisoformat(manifest["exported"][it]) for it in ("from", "to"))
    missing_s = sum(
        (
            (_instant(gap["ended_at"]) or min(now, ended_at))
            - datetime.fromisoformat(gap["began_at"])
        ).total_seconds()
        for gap in manifest["gaps"]
    )
    yield plain(f"{file}: {size(manifest['bytes'])}, {count(len(manifest['segments']), 'segment')}")
    yield f"from {stamp(began_at)} to {stamp(ended_at)}"
    yield f"{count(len(manifest['gaps']), 'gap')}, {seconds(missing_s)}"
    yield f"sha256 {manifest['sha256']}"


def lacking_line(manifest: Mapping[str, Any], file: Path) -> str:
    """Return how long an export has pictures without one of its other tracks."""
    lengths_s: defaultdict[str, float] = defaultdict(float)
    for it in manifest["lacking"]:
        began_at, ended_at = (datetime.fromisoformat(it[key]) for key in ("from", "to"))
        lengths_s[it["track"]] += (ended_at - began_at).total_seconds()
    lacks = " and ".join(f"{track} for {seconds(length)}" for track, length in lengths_s.items())
    first = datetime.fromisoformat(manifest["lacking"][0]["from"])
    return plain(
        f"{file} lacks {lacks}, first at {stamp(first)}: it was not recorded; {file}.json has each"
        ' part under "lacking"'
    )


def count(number: int, word: str) -> str:
    """Return a number of things."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _tracks(segment: Segment) -> str:
    shown = " + ".join(f"{it.codec} {it.shape}".strip() for it in segment.tracks)
    return f"{segment.container}: {shown or '?'}"


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows below a header, numbers to the right, the last column as long as it is."""
    table = [header, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (
            cell.rjust(width) if title in _NUMBERS else cell.ljust(width)
            for title, cell, width in zip(header, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
