"""What the windows remember, beside a plain list that remembers everything."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.recovery.window import BUCKETS, CountWindow, Tally, TimeWindow, Window

WINDOW_S = 10.0
CALLS = st.lists(
    st.tuples(st.integers(0, 3000).map(lambda ms: ms / 1000), st.booleans(), st.booleans()),
    max_size=60,
)


def numbers(tally: Tally) -> tuple[int, int, int]:
    """Return a tally as a tuple."""
    return tally.calls, tally.failures, tally.slow


def summed(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the sums of rows of three numbers."""
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0, 0, 0)


@given(calls=CALLS)
def test_a_time_window_holds_nine_to_ten_tenths_of_its_span(
    calls: list[tuple[float, bool, bool]],
) -> None:
    """Each call younger than nine buckets is in it, and none older than ten."""
    now_s = 1000.0
    window = TimeWindow(WINDOW_S, minimum=10, now_s=now_s)
    past: list[tuple[float, int, int, int]] = []
    for pause_s, failed, slow in calls:
        now_s += pause_s
        window.count(now_s, failed=failed, slow=slow)
        past.append((now_s, 1, failed, slow))
        young = summed([row[1:] for row in past if row[0] > now_s - WINDOW_S * 0.9 + 1e-6])
        all_ = summed([row[1:] for row in past if row[0] > now_s - WINDOW_S - 1e-6])
        held = numbers(window.tally(now_s))
        assert all(low <= it <= high for low, it, high in zip(young, held, all_, strict=True))
        assert summed(window.rows(now_s)) == held
        assert window.until_s > now_s


@given(calls=CALLS, size=st.integers(1, 12))
def test_a_count_window_holds_exactly_the_last_calls(
    calls: list[tuple[float, bool, bool]], size: int
) -> None:
    """No more, no less, and in their order."""
    window = CountWindow(size)
    past: list[tuple[int, int, int]] = []
    for _, failed, slow in calls:
        window.count(0.0, failed=failed, slow=slow)
        past = [*past, (1, int(failed), int(slow))][-size:]
        assert numbers(window.tally(0.0)) == summed(past)
        assert window.rows(0.0) == [list(row) for row in past]


def test_successes_that_were_counted_without_a_lock_move_with_their_bucket() -> None:
    """They are in the tally at once, and leave it when their bucket does."""
    window = TimeWindow(WINDOW_S, minimum=10, now_s=0.0)
    window.good += 7
    assert window.tally(0.5).calls == 7
    window.count(1.5, failed=True, slow=False)
    window.good += 1
    assert numbers(window.tally(1.6)) == (9, 1, 0)
    assert window.tally(10.5).calls == 2
    assert window.tally(11.5).calls == 0


def test_a_tally_that_is_read_later_forgets_without_changing_anything() -> None:
    """Read for a far instant and then for a near one, the near one has all."""
    window = TimeWindow(WINDOW_S, minimum=10, now_s=0.0)
    window.count(0.5, failed=True, slow=True)
    assert numbers(window.tally(1e9)) == (0, 0, 0)
    assert numbers(window.tally(0.5)) == (1, 1, 1)


@pytest.mark.parametrize("window_s", [1e-300, 1e-9, 1e9])
def test_any_span_can_be_a_window(window_s: float) -> None:
    """A window that is finer than the clock holds the calls of one instant."""
    window = TimeWindow(window_s, minimum=1, now_s=1e6)
    for now_s in (1e6, 1e6, 2e6):
        window.count(now_s, failed=True, slow=False)
    assert window.tally(2e6).failures == (3 if window_s == 1e9 else 1)


def test_a_call_that_ended_a_little_before_the_newest_bucket_counts_in_it() -> None:
    """Threads bring their instants out of order; none of them is lost."""
    window = TimeWindow(WINDOW_S, minimum=10, now_s=0.0)
    window.count(5.0, failed=False, slow=False)
    window.count(3.9, failed=True, slow=False)
    assert numbers(window.tally(5.0)) == (2, 1, 0)


@pytest.mark.parametrize(
    ("outcomes", "dilutes"), [("", True), ("SS", True), ("F", False), ("FSS", True), ("SSF", True)]
)
def test_a_success_only_dilutes_a_time_window_that_is_good_or_was_judged(
    outcomes: str, *, dilutes: bool
) -> None:
    """With a failure and fewer calls than the least number, the next success may make it a rate."""
    window = TimeWindow(WINDOW_S, minimum=3, now_s=0.0)
    for letter in outcomes:
        window.count(0.0, failed=letter == "F", slow=False)
    assert window.dilutes() is dilutes


@pytest.mark.parametrize(
    ("outcomes", "dilutes"),
    [("", False), ("SS", False), ("SSS", True), ("SSF", False), ("L", False)],
)
def test_a_success_changes_nothing_in_a_count_window_full_of_successes(
    outcomes: str, *, dilutes: bool
) -> None:
    """In any other it has to be counted."""
    window = CountWindow(3)
    for letter in outcomes:
        window.count(0.0, failed=letter == "F", slow=letter == "L")
    assert window.dilutes() is dilutes


@pytest.mark.parametrize(("elapsed_s", "kept"), [(0.0, 2), (8.5, 2), (9.5, 1), (10.0, 0), (1e9, 0)])
def test_a_time_window_that_is_taken_over_has_aged(elapsed_s: float, kept: int) -> None:
    """Its buckets are as old as they were and what passed since."""
    old = TimeWindow(WINDOW_S, minimum=10, now_s=0.0)
    old.count(0.0, failed=True, slow=False)
    old.count(1.0, failed=True, slow=False)
    new = TimeWindow(WINDOW_S, minimum=10, now_s=500.0)
    new.refill(old.rows(1.0), elapsed_s)
    assert new.tally(500.0).failures == kept
    assert len(new.rows(500.0)) == BUCKETS


def test_a_count_window_that_is_taken_over_is_as_it_was() -> None:
    """Time does not age it."""
    old, new = CountWindow(3), CountWindow(3)
    for failed in (True, True, False, False):
        old.count(0.0, failed=failed, slow=failed)
    new.refill(old.rows(0.0), 1e9)
    new.count(0.0, failed=False, slow=False)
    assert numbers(new.tally(0.0)) == (3, 0, 0)


@pytest.mark.parametrize("window", [CountWindow(3), TimeWindow(WINDOW_S, minimum=1, now_s=0.0)])
def test_an_empty_window_has_no_rates(window: Window) -> None:
    """Nothing of nothing is 0."""
    tally = window.tally(0.0)
    assert (tally.failure_rate, tally.slow_rate) == (0.0, 0.0)
