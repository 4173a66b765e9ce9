"""How many retries a resource bears."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.recovery import RetryAllowance, RetryWindow

REQUEST, RETRY = "request", "retry"


def granted(window: RetryWindow, asked: int, now_s: float) -> int:
    """Ask for so many retries at one instant; return how many are granted."""
    return sum(window.take(now_s) for _ in range(asked))


def test_the_floor_is_granted_when_nobody_asks_anything() -> None:
    """10/s over 10 s are 100 retries, and not one more."""
    assert granted(RetryWindow(RetryAllowance()), 500, 1000.0) == 100


def test_a_fifth_of_the_requests_is_granted_above_the_floor() -> None:
    """1,000 requests bear 200 retries more."""
    window = RetryWindow(RetryAllowance())
    for _ in range(1000):
        window.request(1000.0)
    assert granted(window, 1000, 1009.9) == 300


def test_the_budget_returns_when_its_time_has_passed() -> None:
    """What was spent is forgotten a window later, give or take a tenth of it."""
    window = RetryWindow(RetryAllowance())
    assert granted(window, 200, 1000.0) == 100
    assert granted(window, 1, 1010.0) == 0
    assert granted(window, 200, 1011.0) == 100


def test_requests_of_long_ago_earn_nothing() -> None:
    """An hour of silence empties the whole window, however often its ring would have turned."""
    window = RetryWindow(RetryAllowance())
    for _ in range(1000):
        window.request(1000.0)
    granted(window, 100, 1000.0)
    assert granted(window, 500, 4600.0) == 100


def test_a_refusal_takes_nothing() -> None:
    """Asking in vain does not put off the time at which the budget returns."""
    window = RetryWindow(RetryAllowance(floor_per_s=0.1, share=0.0))
    assert window.take(1000.0)
    assert granted(window, 50, 1005.0) == 0
    assert window.take(1011.0)


def test_a_clock_that_steps_back_counts_in_the_newest_slice() -> None:
    """Two threads that read the clock in one order and count in the other lose nothing."""
    window = RetryWindow(RetryAllowance())
    assert granted(window, 60, 1001.0) == 60
    assert granted(window, 60, 999.0) == 40


@given(
    share=st.sampled_from([0.0, 0.1, 0.2, 1.0]),
    floor_per_s=st.sampled_from([0.125, 0.5, 3.0]),
    within_s=st.sampled_from([10.0, 20.0]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 8, 64, 640, 1280]),  # time passes, in 64ths of a second
            st.sampled_from([REQUEST, RETRY]),
            st.integers(1, 30),
        ),
        max_size=60,
    ),
)
def test_a_granted_retry_is_always_within_the_allowance(
    share: float, floor_per_s: float, within_s: float, steps: list[tuple[int, str, int]]
) -> None:
    """At each grant, the true window behind it holds no more retries than its requests allow."""
    allowance = RetryAllowance(share=share, floor_per_s=floor_per_s, within_s=within_s)
    window = RetryWindow(allowance)
    requests: list[float] = []
    retries: list[float] = []
    now_s = 1000.0
    for passed, kind, times in steps:
        now_s += passed / 64
        for _ in range(times):
            if kind == REQUEST:
                window.request(now_s)
                requests.append(now_s)
            elif window.take(now_s):
                retries.append(now_s)
                recent = [
                    sum(at_s > now_s - within_s for at_s in all_) for all_ in (requests, retries)
                ]
                assert recent[1] <= share * recent[0] + floor_per_s * within_s


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": -0.1}, "share is -0.1"),
        ({"share": 1.5}, "share is 1.5"),
        ({"floor_per_s": -1.0}, "floor_per_s is -1.0"),
        ({"share": 0.0, "floor_per_s": 0.05}, "not one retry is allowed in 10 s"),
    ],
)
def test_an_impossible_allowance_is_refused(wrong: dict[str, Any], told: str) -> None:
    """What can't be, or could never grant anything, is refused with the field and its value."""
    with pytest.raises(ValueError, match=told):
        RetryAllowance(**wrong)
