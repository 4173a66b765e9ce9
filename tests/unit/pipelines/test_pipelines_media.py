"""What passes is counted, and when."""

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from stream_manager.pipelines import media

if TYPE_CHECKING:
    from stream_manager.pipelines.gst import Gst


class Counter:
    """An identity's statistics, set by hand."""

    buffers = 0

    def get_property(self, _name: str) -> SimpleNamespace:
        """Return the statistics as a structure gives them; a buffer has ten bytes."""
        numbers = {"num-buffers": self.buffers, "num-bytes": 10 * self.buffers}
        return SimpleNamespace(get_uint64=lambda name: (True, numbers[name]))


def test_a_gap_may_begin_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first arrival at second zero of the machine is an arrival like any other."""
    counter = Counter()
    meter = media.PolledMeter("audio", cast("Gst.Element", counter))
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert meter.read().first_s is None
    counter.buffers = 1
    meter.read()
    monkeypatch.setattr(time, "monotonic", lambda: 2.0)
    counter.buffers = 5
    progress = meter.read()
    assert (progress.first_s, progress.last_s) == (0.0, 2.0)
    assert (progress.gap_max_s, progress.gap_mean_s) == (2.0, 0.5)
    assert (progress.frames, progress.bytes) == (5, 50)
