"""What the index says of one file: by its name alone, and when it has been measured."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from stream_manager.pipelines.measurement import Measurement
from stream_manager.recordings.structure import defect
from stream_manager.recordings.survey import Found
from stream_manager.store.segments import Segment, SegmentState


def adopted(volume: str, found: Found) -> Segment:
    """Return a file that nobody announced, as its name tells of it."""
    return Segment(
        stream=found.name.stream,
        volume=volume,
        path=found.path,
        began_at=found.name.began_at,
        container=found.name.container,
    )


def known_now(segment: Segment, measurement: Measurement, *, crashed: bool) -> Segment | None:
    """Return what is known of a file now; None: nothing ever reached it. Asks the disk.

    A worker that no manager came for finishes its file; one that `crashed` did not. A cut between
    two packets of MPEG-TS can't be seen in the file.
    """
    path = Path(measurement.path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(descriptor).st_size
            flaw = defect(segment.container, descriptor, size, cut_off=False) if size else None
        finally:
            os.close(descriptor)
        if size == 0:
            path.unlink()  # made by a worker that ended before the first picture came
            return None
    except OSError:  # it may be there again when its disk is
        return replace(segment, state=SegmentState.MISSING, duration_s=0.0, bytes=0)
    whole = flaw is None and measurement.whole and not crashed
    state = SegmentState.WHOLE if whole else SegmentState.TRUNCATED
    ended_at = segment.began_at + timedelta(seconds=measurement.duration_s)
    return replace(
        segment,
        duration_s=measurement.duration_s,
        bytes=size,
        tracks=measurement.tracks or segment.tracks,
        holes=tuple(hole for hole in segment.holes if hole[1] <= ended_at),
        state=SegmentState.UNREADABLE if measurement.error else state,
    )
