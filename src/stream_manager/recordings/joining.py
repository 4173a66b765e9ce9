"""How segments become one file: which of them, and at which position each of them begins.

A position is wall time since the file's beginning, so that what was not recorded stays missing.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from stream_manager.errors import OutsideError, UsageError
from stream_manager.pipelines.containers import FITS, Muxed
from stream_manager.recordings.gaps import LEAST, Gap
from stream_manager.recordings.times import Range
from stream_manager.store.segments import Segment, SegmentState

# MPEG-TS counts 2 ** 33 ticks of 90 kHz, and then from zero. MP4 counts the time from one picture
# or sound to the next in 32 bits.
TS_AT_MOST = timedelta(hours=26)
MP4_GAP_AT_MOST = timedelta(hours=6)
PARTS_SHOWN = 20
# More of what two recorders wrote is no handover, but a clock that was set back.
HANDOVER_AT_MOST_S = 30.0
# Of these there is nothing to join.
NOTHING = frozenset({SegmentState.UNREADABLE, SegmentState.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A segment on its way into the file.

    bytes: how many of it are read, from its beginning; `whole` if that is all of it. first_s: the
    timestamp of its first picture. inpoint_s: the timestamp in it at which it is entered, None for
    its very beginning.
    """

    segment: Segment
    path: Path
    bytes: int
    whole: bool
    first_s: float = 0.0
    inpoint_s: float | None = None

    @property
    def url(self) -> str:
        """What ffmpeg calls it."""
        file = f"file:{self.path}"
        return file if self.whole else f"subfile,,start,0,end,{self.bytes},,:{self.path}"

    @property
    def began_at(self) -> datetime:
        """When the first picture was taken that is read of it."""
        entered_s = 0.0 if self.inpoint_s is None else self.inpoint_s - self.first_s
        return self.segment.began_at + timedelta(seconds=entered_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Media is there from `began_at` to `ended_at`, and a track of the file's is not.

    kind: of the track. position: the track's in the file, by which two of a kind are told apart.
    """

    kind: str
    position: int
    began_at: datetime
    ended_at: datetime


def chosen(segments: Sequence[Segment], within: Range) -> list[Segment]:
    """Return which segments are exported: what can be played, from the one on that spans `since`.

    It may begin before `since`, for it has the last keyframe there.
    """
    playable = [it for it in segments if it.state not in NOTHING]
    while len(playable) > 1 and within.since and playable[1].began_at <= within.since:
        del playable[0]
    return playable


def refuse_changes(
    segments: Sequence[Segment], within: Range, file: Path, command: Callable[[str], str]
) -> None:
    """Raise UsageError if the tracks or the container change on the way; it names each part.

    command: returns how a command, like "segments export …", is typed for these recordings.
    """
    starts = [segments[0]]
    for it in segments:
        if not _goes_on(starts[-1], it):
            starts.append(it)
    if len(starts) == 1:
        return
    begins = [max(starts[0].began_at, within.since or starts[0].began_at)]
    begins += [it.began_at for it in starts[1:]]
    ends = [*begins[1:], within.until]
    lines = [
        f"  {_tracks(segment)}: "
        + command(
            f"segments export {segment.stream} --from {_exact(began_at)} --to {_exact(ended_at)}"
            f" -o {shlex.quote(str(file.with_stem(f'{file.stem}-{number}')))}"
        )
        for number, (segment, began_at, ended_at) in enumerate(
            zip(starts, begins, ends, strict=True), start=1
        )
        if ended_at is not None
    ]
    more = [f"  and {len(lines) - PARTS_SHOWN} more"] if len(lines) > PARTS_SHOWN else []
    raise UsageError(
        f"what {segments[0].stream} records changes {len(starts) - 1} times in this range, and one"
        " file can't hold both; export each part alone:\n"
        + "\n".join([*lines[:PARTS_SHOWN], *more])
    )


def container_of(file: Path, segments: Sequence[Segment]) -> Muxed:
    """Return the container that FILE's suffix names. Raises UsageError if the tracks don't fit."""
    container = next((it for it in FITS if file.suffix == f".{it}"), None)
    if container is None:
        raise UsageError(
            f'FILE {file} has the suffix "{file.suffix}"; it tells the container and may be: '
            + ", ".join(f".{it}" for it in FITS)
        )
    for track in segments[0].tracks:
        if track.codec not in FITS[container]:
            fitting = " or ".join(f".{it}" for it in FITS if track.codec in FITS[it])
            raise UsageError(
                f"{track.codec} does not fit {file.suffix} without re-encoding: name FILE {fitting}"
            )
    return container


def refuse_long(
    container: Muxed, gaps: Sequence[Gap], began_at: datetime, ended_at: datetime
) -> None:
    """Raise UsageError if the container can't count that far."""
    if container == "ts" and ended_at - began_at > TS_AT_MOST:
        raise UsageError(
            f"one MPEG-TS file counts {TS_AT_MOST // timedelta(hours=1)} hours at most: name FILE"
            " .mkv, or export a shorter range"
        )
    for gap in gaps:
        gap_ended_at = gap.ended_at or ended_at
        if container == "mp4" and gap_ended_at - gap.began_at > MP4_GAP_AT_MOST:
            raise UsageError(
                f"an MP4 file can't hold the gap from {_exact(gap.began_at)} to"
                f" {_exact(gap_ended_at)}, for it is longer than"
                f" {MP4_GAP_AT_MOST // timedelta(hours=1)} hours: name FILE .mkv"
            )


def positions_s(parts: Sequence[Part]) -> list[float]:
    """Return where in the file each part begins.

    Where files overlap, for a clock was set back, a part waits until the one before has ended.
    Where two recorders wrote for a moment, at a handover, it keeps its place: what is there twice
    passes at once when the first one's file has ended.
    """
    origin = parts[0].began_at
    positions: list[float] = []
    ends_s: dict[int, float] = {}  # of each recorder, by its epoch
    for part in parts:
        own, began_s = part.segment.epoch, (part.began_at - origin).total_seconds()
        waits_for_s = [
            end_s
            for epoch, end_s in ends_s.items()
            if epoch == own or end_s - began_s > HANDOVER_AT_MOST_S
        ]
        position_s = max(began_s, *waits_for_s, *positions[-1:], 0.0)
        positions.append(position_s)
        ended_at = part.segment.ended_at
        length_s = 0.0 if ended_at is None else (ended_at - part.began_at).total_seconds()
        ends_s[own] = position_s + max(0.0, length_s)
    return positions


def lacking(parts: Sequence[Part], ended_at: datetime) -> list[Lack]:
    """Return which tracks of the first part's others lack, up to `ended_at`; adjoining ones as one.

    What lies between two files is no lack of a track, but a gap.
    """
    tracks = parts[0].segment.tracks
    found: list[Lack] = []
    for position in range(min(len(it.segment.tracks) for it in parts), len(tracks)):
        before: Lack | None = None
        for part in (it for it in parts if len(it.segment.tracks) <= position):
            until = min(part.segment.ended_at or ended_at, ended_at)
            if until <= part.began_at:
                continue
            joined = before is not None and part.began_at - before.ended_at < LEAST
            if before is not None and joined:
                found.pop()
            before = Lack(
                kind=tracks[position].kind,
                position=position,
                began_at=before.began_at if before is not None and joined else part.began_at,
                ended_at=until,
            )
            found.append(before)
    return sorted(found, key=lambda it: (it.began_at, it.position))


def listing(parts: Sequence[Part]) -> str:
    """Return the list that ffmpeg's concat demuxer reads. Raises OutsideError for odd paths."""
    lines = ["ffconcat version 1.0"]
    positions = positions_s(parts)
    for part, at_s, next_s in zip(parts, positions, [*positions[1:], None], strict=True):
        if "\n" in part.url or "\r" in part.url:
            raise OutsideError(
                f"the path {str(part.path)!r} has a line break: ffmpeg can't be told"
            )
        lines.append("file '{}'".format(part.url.replace("'", r"'\''")))
        if part.inpoint_s is not None:
            lines.append(f"inpoint {part.inpoint_s:.6f}")
        if next_s is not None:
            lines.append(f"duration {next_s - at_s:.6f}")
    return "\n".join(lines) + "\n"


def _goes_on(first: Segment, other: Segment) -> bool:
    """Tell whether a file that `first` begins can take `other`; an unknown shape fits any.

    Tracks at the end may be missing, as sound is right after a camera has come back: ffmpeg matches
    tracks by their position, and those of the first segment are the file's. Where nothing is known
    of the tracks of either they are taken to be alike.
    """
    mine, theirs = first.tracks, other.tracks
    return (
        first.container == other.container
        and bool(mine) == bool(theirs)
        and len(theirs) <= len(mine)
        and all(
            (a.kind, a.codec) == (b.kind, b.codec)
            and (a.shape == b.shape or not (a.shape and b.shape))
            for a, b in zip(mine, theirs, strict=False)
        )
    )


def _tracks(segment: Segment) -> str:
    shown = " + ".join(f"{it.codec} {it.shape}".strip() for it in segment.tracks)
    return f"{segment.container}, {shown or 'unknown tracks'}"


def _exact(at: datetime | None) -> str:
    return "" if at is None else at.astimezone().isoformat(timespec="microseconds")
