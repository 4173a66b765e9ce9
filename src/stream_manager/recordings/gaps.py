"""Gaps: what lies between the segments of a stream, and why nothing was recorded there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stream_manager.store.segments import Mark, Segment, SegmentState

# Less than this between two files that were not cut from one flow is how exactly times are known.
LEAST = timedelta(milliseconds=50)
# ... and this, where one of them was found: nobody told that it goes on, and when it ended.
LEAST_FOUND = timedelta(milliseconds=500)
# A fault may be seen a moment before the last pictures on their way have reached the file.
FORESEEN = timedelta(seconds=2)

STARTING = "starting"
UNKNOWN = "unknown"  # no mark speaks of it
FILE_MISSING = "file-missing"  # it was recorded, and the file is gone
# Media paused, and went on before anything had to be restarted.
STALL, NO_RESTART = "stall", "no-restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nothing is recorded of `stream` from `began_at` (UTC) on; `ended_at` is None while it lasts.

    cause, code, outage_s: those of the mark that explains it (`store.segments.Mark`).
    """

    stream: str
    began_at: datetime
    ended_at: datetime | None
    cause: str
    code: str = ""
    outage_s: float | None = None


def find_gaps(stream: str, segments: Sequence[Segment], marks: Sequence[Mark]) -> list[Gap]:
    """Return the gaps of one stream, of which these are all segments and marks, in order of time.

    Its time begins with the first of them; its last gap lasts, unless a segment is open. A missing
    file is a gap of its own beside what came before and after it.
    """
    gaps: list[Gap] = []
    furthest: Segment | None = None
    for segment in segments:
        if segment.state is not SegmentState.UNREADABLE:
            gaps += _between(stream, furthest, segment, marks)
            gaps += _inside(segment)
            furthest = _further(furthest, segment)
    if any(it.state is SegmentState.OPEN for it in segments):
        return gaps
    return [*gaps, *_between(stream, furthest, None, marks)]


def _further(one: Segment | None, other: Segment) -> Segment:
    """Return which of two reaches further; files may overlap, and clocks be set back."""
    if one is None or one.ended_at is None or other.ended_at is None:
        return other
    return one if one.ended_at > other.ended_at else other


def _between(
    stream: str, before: Segment | None, after: Segment | None, marks: Sequence[Mark]
) -> Iterator[Gap]:
    began_at = before.ended_at if before is not None else marks[0].at if marks else None
    ended_at = None if after is None else after.began_at
    if began_at is None or _follows(before, after):
        return
    if ended_at is not None and ended_at - began_at <= _least(before, after):
        return
    if _resumes(before, after):
        yield _pause(stream, began_at, ended_at)
        return
    since = began_at - FORESEEN if before is None else max(began_at - FORESEEN, before.began_at)
    inside = [it for it in marks if since <= it.at and (ended_at is None or it.at <= ended_at)]
    yield from _explained(stream, began_at, ended_at, inside)


def _least(before: Segment | None, after: Segment | None) -> timedelta:
    found = [it for it in (before, after) if it is not None and it.sequence == 0]
    return LEAST_FOUND if found else LEAST


def _follows(before: Segment | None, after: Segment | None) -> bool:
    return (
        before is not None
        and after is not None
        and after.continues
        and before.state in {SegmentState.WHOLE, SegmentState.OPEN}
        and before.epoch == after.epoch
        and before.sequence + 1 == after.sequence
    )


def _resumes(before: Segment | None, after: Segment | None) -> bool:
    """Tell whether the same recorder went on by itself: nothing was restarted in between."""
    return (
        before is not None
        and after is not None
        and before.epoch == after.epoch > 0
        and before.sequence + 1 == after.sequence
        and before.state is SegmentState.WHOLE
    )


def _pause(stream: str, began_at: datetime, ended_at: datetime | None, cause: str = STALL) -> Gap:
    return Gap(stream=stream, began_at=began_at, ended_at=ended_at, cause=cause, code=NO_RESTART)


def _inside(segment: Segment) -> Iterator[Gap]:
    """Yield what is missing where a file should be: all of it, or holes."""
    if segment.state is SegmentState.MISSING:
        yield Gap(
            stream=segment.stream,
            began_at=segment.began_at,
            ended_at=segment.ended_at,
            cause=FILE_MISSING,
        )
        return
    for began_at, ended_at, cause in segment.holes:
        yield _pause(segment.stream, began_at, ended_at, cause)


def _explained(
    stream: str, began_at: datetime, ended_at: datetime | None, marks: Sequence[Mark]
) -> list[Gap]:
    """Cut one gap where it was tried again; of each part the first cause explains it all.

    A start explains no time before it. What it takes itself belongs to the part before, if it
    succeeded and the cause of that part is known.
    """
    parts: list[tuple[datetime, Mark | None]] = [(began_at, None)]
    for mark in marks:
        at, told = parts[-1]
        if _is_start(mark) and (told or mark.at - at > LEAST):
            if not _is_start(told):
                parts.append((max(mark.at, at), mark))
        elif told is None or _is_start(told):
            parts[-1] = (at, mark)
    if len(parts) > 1 and _is_start(parts[-1][1]) and parts[-2][1] is not None:
        parts.pop()
    ends = [*(at for at, _ in parts[1:]), ended_at]
    return [
        Gap(
            stream=stream,
            began_at=at,
            ended_at=end,
            cause=mark.cause if mark else UNKNOWN,
            code=mark.code if mark else "",
            outage_s=mark.outage_s if mark else None,
        )
        for (at, mark), end in zip(parts, ends, strict=True)
        if end is None or at < end
    ]


def _is_start(mark: Mark | None) -> bool:
    return mark is not None and mark.cause == STARTING
