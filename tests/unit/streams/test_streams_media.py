"""Counts over all runs, and rates over the newest two seconds."""

import pytest

from stream_manager.pipelines.messages import Progress, TrackProgress
from stream_manager.streams.media import Media


def report(at_s: float, frames: int, *, epoch: int = 1, audio: int = 0) -> Progress:
    """Return a report of one video and one audio track, 1000 and 100 bytes a buffer."""
    return Progress(
        at_s=at_s,
        late_s=0.0,
        epoch=epoch,
        tracks=tuple(
            TrackProgress(
                name=name,
                frames=count,
                bytes=count * size,
                first_s=0.0 if count else None,
                key_s=0.0 if count else None,
                last_s=at_s if count else None,
                gap_max_s=0.0,
                gap_mean_s=0.0,
                gap_deviation_s=0.0,
            )
            for name, count, size in (("video", frames, 1000), ("audio", audio, 100))
        ),
        outputs=(),
    )


def test_rates_are_those_of_the_newest_reports() -> None:
    """25 frames of 1000 bytes a second are 25 fps and 200 kbit/s."""
    media = Media()
    for number in range(20):
        media.count(report(10.0 + number * 0.2, number * 5))
    assert media.rates(13.8) == pytest.approx((25.0, 200_000.0))


def test_a_stale_report_has_no_rate() -> None:
    """Nothing flows where nothing is reported."""
    media = Media()
    assert media.rates(0.0) == (0.0, 0.0)
    media.count(report(10.0, 0))
    assert media.rates(10.0) == (0.0, 0.0)
    media.count(report(10.2, 5))
    assert media.rates(10.2) != (0.0, 0.0)
    assert media.rates(11.3) == (0.0, 0.0)


def test_reports_that_are_a_second_apart_have_a_rate() -> None:
    """It is of the newest two seconds, and fresh until two reports are overdue."""
    media = Media()
    for number in range(10):
        media.count(report(10.0 + number, number * 25))
    assert media.rates(20.9) == pytest.approx((25.0, 200_000.0))
    assert media.rates(21.1) == (0.0, 0.0)


def test_totals_go_on_over_rebuilds() -> None:
    """A run counts from its own beginning; the sum counts every run."""
    media = Media()
    media.count(report(10.0, 100, audio=10))
    media.count(report(10.2, 105, audio=20))
    media.count(report(20.0, 3, epoch=2))
    assert media.frames == 108
    assert media.bytes == 105_000 + 2_000 + 3_000
    assert media.last_s == 20.0
    media.count(report(20.2, 3, epoch=2))
    assert media.frames == 108
