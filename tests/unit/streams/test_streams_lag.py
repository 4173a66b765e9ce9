"""How late the loop is: measured by its tick, excused once, and not counted for a little."""

import pytest

from stream_manager.streams.lag import EXCUSED_FROM_S, WORST_OF_S, LoopLag
from stream_manager.testing import FakeClock

EVERY_S = 0.25


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()


@pytest.fixture
def lag(clock: FakeClock) -> LoopLag:
    """Give a meter that expects its first tick in a quarter of a second."""
    return LoopLag(clock, every_s=EVERY_S)


def tick_after(lag: LoopLag, clock: FakeClock, seconds: float) -> None:
    """Let the next tick come so late."""
    clock.now_s += seconds
    lag.tick()


def test_a_tick_in_time_is_no_lag(lag: LoopLag, clock: FakeClock) -> None:
    """Nothing is shown, and nothing excused."""
    for _ in range(4):
        tick_after(lag, clock, lag.until_tick_s)
        assert (lag.newest_s, lag.late_s, lag.take()) == (0.0, 0.0, 0.0)


def test_a_late_tick_is_shown_and_excused_once(lag: LoopLag, clock: FakeClock) -> None:
    """What came after it counts from its own time."""
    tick_after(lag, clock, EVERY_S + 3.0)
    assert lag.newest_s == lag.worst_s == pytest.approx(3.0)
    assert lag.take() == pytest.approx(3.0)
    assert lag.take() == 0.0
    assert lag.until_tick_s == pytest.approx(EVERY_S)


def test_who_asks_before_the_late_tick_has_come_is_told_the_same(
    lag: LoopLag, clock: FakeClock
) -> None:
    """A supervisor whose timer fires first excuses it then, and the rest when the tick has come."""
    clock.now_s += EVERY_S + 3.0
    assert lag.late_s == pytest.approx(3.0)
    assert lag.take() == pytest.approx(3.0)
    tick_after(lag, clock, 1.0)
    assert lag.newest_s == pytest.approx(4.0)
    assert lag.take() == pytest.approx(1.0)


def test_a_little_is_excused_to_nobody(lag: LoopLag, clock: FakeClock) -> None:
    """However often it comes: no deadline is that short."""
    for _ in range(20):
        tick_after(lag, clock, EVERY_S + EXCUSED_FROM_S / 2)
        assert lag.take() == 0.0
    assert lag.worst_s == pytest.approx(EXCUSED_FROM_S / 2)


def test_the_worst_is_forgotten_after_two_minutes(lag: LoopLag, clock: FakeClock) -> None:
    """It is shown for one minute at least, and for two at most."""
    tick_after(lag, clock, EVERY_S + 2.0)
    shown_s = 0.0
    while lag.worst_s > 1.0:
        tick_after(lag, clock, EVERY_S)
        shown_s += EVERY_S
    assert WORST_OF_S <= shown_s <= 2 * WORST_OF_S
