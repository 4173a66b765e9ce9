"""What a file of a recording says of itself."""

import os
import time
from pathlib import Path

import pytest

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.segment import AHEAD_S, Segment


@pytest.mark.parametrize(("told_s", "true_s"), [(2.9, 2.9), (48.0, 3.0 + AHEAD_S)])
def test_a_file_does_not_last_longer_than_it_has_been_written(
    tmp_path: Path, told_s: float, true_s: float
) -> None:
    """Garbage may claim that a picture lasts for a minute: that would hide the gap after it."""
    Gst.init(None)
    fd = os.open(tmp_path / "file.ts", os.O_CREAT | os.O_WRONLY)
    segment = Segment(
        sequence=1,
        container="ts",
        path=tmp_path / "file.ts",
        fd=fd,
        began_at=0.0,
        began_s=time.monotonic() - 3.0,
        begin_ns=Gst.SECOND,
        after_jump=False,
        continues=False,
    )
    segment.end_ns = Gst.SECOND + int(told_s * Gst.SECOND)
    assert segment.duration_s == pytest.approx(true_s, abs=0.1)
    os.close(fd)
