"""What bounds retries: a deadline, what the error asks for, a budget."""

import threading
import time
from contextlib import suppress
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.supervision.retry_world import RefusedError, refusals, world

from stream_manager.recovery import Backoff, RetryAllowance
from stream_manager.recovery.backoff import Jitter
from stream_manager.supervision import FailedAttempt, GaveUp, RetryBudget, deadline
from stream_manager.testing import FakeClock

PATIENT_S = 30.0

# Deadlines


def test_it_never_waits_past_the_deadline() -> None:
    """The wait that would end at 7 s or later is not begun, with a deadline of 7 s."""
    call, made = world(*refusals(9))
    with pytest.raises(RefusedError) as raised:
        made(deadline_s=7.0, attempts=9).call(call)
    assert call.called_at_s == [0.0, 1.0, 3.0]
    assert call.clock.now_s == 1003.0
    (note,) = raised.value.__notes__
    assert note.startswith("retry gave up after 3 attempts in 3 s: ")
    assert note.endswith("the next attempt would pass the deadline (4 s left)")


def test_a_wait_that_took_too_long_is_followed_by_no_attempt() -> None:
    """A system that woke the caller past the deadline does not make it call once more."""
    call, made = world(*refusals(9))
    told: list[FailedAttempt] = []
    pause = call.clock.pause

    def oversleep(delay_s: float) -> None:
        pause(delay_s + 6.0)

    call.clock.pause = oversleep  # type: ignore[method-assign]
    with pytest.raises(RefusedError) as raised:
        made(deadline_s=7.0, watch=told.append).call(call)
    assert call.called_at_s == [0.0]
    assert [(attempt.number, attempt.gave_up) for attempt in told] == [
        (1, None),
        (1, GaveUp.DEADLINE),
    ]
    assert "after 1 attempt in 7 s" in raised.value.__notes__[0]


def test_a_deadline_around_bounds_the_retries_inside() -> None:
    """Two calls share one deadline: the second has what the first left."""
    call, made = world(*refusals(2))
    guarded = made(attempts=9)(call)
    with deadline(5.0, clock=call.clock):
        assert guarded() == "done"
        call.errors += refusals(9)
        with pytest.raises(RefusedError, match="refused"):
            guarded()
    assert call.called_at_s == [0.0, 1.0, 3.0, 3.0, 4.0]


def test_the_nearer_deadline_counts() -> None:
    """A retry's own deadline can't outlast the one around it."""
    call, made = world(*refusals(9))
    with deadline(2.0, clock=call.clock), pytest.raises(RefusedError):
        made(deadline_s=100.0).call(call)
    assert call.called_at_s == [0.0, 1.0]


@given(
    jitter=st.sampled_from(["none", "full", "equal", "decorrelated"]),
    drawn=st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=12, max_size=12),
    attempts=st.integers(1, 12),
    deadline_s=st.floats(1.1, 60.0),
    takes_s=st.floats(0.0, 5.0),
    failures=st.integers(0, 15),
    asked_s=st.none() | st.floats(),
)
def test_calls_and_waits_stay_within_all_bounds(
    jitter: Jitter,
    drawn: list[float],
    attempts: int,
    deadline_s: float,
    takes_s: float,
    failures: int,
    asked_s: float | None,
) -> None:
    """Never more than `attempts` calls, none begun at the deadline or later, no wait too long."""
    errors = [RefusedError(retry_after_s=asked_s) for _ in range(failures)]
    call, made = world(*errors, takes_s=takes_s)
    told: list[FailedAttempt] = []
    guarded = made(
        attempts=attempts,
        deadline_s=deadline_s,
        backoff=Backoff(base_s=1.0, cap_s=8.0, jitter=jitter),
        chance=iter(drawn).__next__,
        retry_after_at_most_s=20.0,
        watch=told.append,
    )
    with suppress(RefusedError):
        assert guarded.call(call) == "done"
    assert len(call.called_at_s) == failures + 1 or told[-1].gave_up is not None
    assert 1 <= len(call.called_at_s) <= attempts
    assert max(call.called_at_s) < deadline_s or call.called_at_s == [0.0]
    waits_s = [attempt.delay_s for attempt in told if attempt.delay_s is not None]
    longest_s = 8.0 if asked_s is None or not asked_s >= 0 else min(asked_s, 20.0)
    assert all(0.0 <= wait_s <= longest_s for wait_s in waits_s)


# What the error itself asks for


def test_an_error_can_say_when_to_come_back() -> None:
    """Its `retry_after_s` stands in the place of the backoff's delay, zero too."""
    call, made = world(
        RefusedError(retry_after_s=0.0), RefusedError(retry_after_s=5), RefusedError()
    )
    made().call(call)
    assert call.called_at_s == [0.0, 0.0, 5.0, 9.0]


def test_what_an_error_asks_for_is_bounded() -> None:
    """A day is cut to the bound."""
    call, made = world(RefusedError(retry_after_s=86_400.0))
    made(retry_after_at_most_s=30.0).call(call)
    assert call.called_at_s == [0.0, 30.0]


def test_what_an_error_asks_for_never_passes_the_deadline() -> None:
    """Where the server wants more time than there is, there is no further attempt."""
    call, made = world(RefusedError(retry_after_s=3.0))
    with pytest.raises(RefusedError):
        made(deadline_s=2.0).call(call)
    assert call.clock.now_s == 1000.0


@pytest.mark.parametrize("nonsense", [-1.0, nan, "soon"])
def test_nonsense_is_paced_by_the_backoff(nonsense: object) -> None:
    """An error that asks for what is no duration is treated as one that asks for nothing."""
    call, made = world(RefusedError(retry_after_s=nonsense))
    made().call(call)
    assert call.called_at_s == [0.0, 1.0]


def test_the_delay_is_found_where_the_caller_says() -> None:
    """`retry_after` reads it from wherever a library keeps it."""
    call, made = world(OSError(111, "7"))
    made(retry_after=lambda error: float(error.args[1])).call(call)
    assert call.called_at_s == [0.0, 7.0]


def test_a_reader_that_raises_is_logged_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake in `retry_after` does not hide the error of the call, nor end its retries."""
    call, made = world(RefusedError())
    assert made(retry_after=lambda error: error.args[5]).call(call) == "done"
    assert call.called_at_s == [0.0, 1.0]
    assert "the backoff paces instead" in caplog.text


# The budget


def test_a_spent_budget_fails_at_once() -> None:
    """The original error is raised without a wait, with a note that names the budget."""
    call, made = world(*refusals(9))
    budget = RetryBudget("api", share=0.0, floor_per_s=0.2, clock=call.clock)
    with pytest.raises(RefusedError) as raised:
        made(budget=budget).call(call)
    assert call.called_at_s == [0.0, 1.0, 3.0]
    (note,) = raised.value.__notes__
    assert note.startswith("retry gave up after 3 attempts in 3 s: retry budget 'api' ")
    assert note.endswith("(0% of requests and 0.2/s over 10 s) is spent")


def test_requests_earn_retries_and_retries_earn_none() -> None:
    """Ten calls that succeed pay for two retries, whoever needs them."""
    call, made = world()
    budget = RetryBudget("api", floor_per_s=0.0, clock=call.clock)
    guarded = made(budget=budget, backoff=Backoff(base_s=0.001, cap_s=0.001))(call)
    for _ in range(9):
        guarded()
    call.errors += refusals(9)
    with pytest.raises(RefusedError):
        guarded()
    assert len(call.called_at_s) == 9 + 1 + 2


def test_nothing_is_taken_for_a_retry_that_is_not_made() -> None:
    """The last attempt, and one whose wait would pass the deadline, leave the budget whole."""
    call, made = world(*refusals(2))
    budget = RetryBudget("api", share=0.0, floor_per_s=0.1, clock=call.clock)
    for policy in ({"attempts": 1}, {"retry_after": lambda _: 5.0, "deadline_s": 2.0}):
        with pytest.raises(RefusedError):
            made(budget=budget, **policy).call(call)
    assert budget.take()


def test_threads_can_not_overdraw_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that ask 4,000 times together are granted the allowance exactly."""
    most = RetryAllowance.most

    def slowly(allowance: RetryAllowance, requests: int) -> float:
        time.sleep(0)  # the others get a chance between the look and the taking
        return most(allowance, requests)

    monkeypatch.setattr(RetryAllowance, "most", slowly)
    budget = RetryBudget("api", share=0.5, floor_per_s=10.0, clock=FakeClock())
    granted: list[bool] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        for _ in range(200):
            budget.request()
        together.wait()
        granted.extend([budget.take() for _ in range(500)])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 4000
    assert sum(granted) == 800 + 100


def test_a_finaliser_may_retry_while_the_budget_is_asked() -> None:
    """The collector may run one at any allocation, also under the budget's lock."""
    asked: list[bool] = []

    class RetryingClock(FakeClock):
        retries = True

        def monotonic_s(self) -> float:
            if self.retries:
                self.retries = False
                asked.append(budget.take())
            return super().monotonic_s()

    budget = RetryBudget("api", clock=RetryingClock())
    thread = threading.Thread(target=lambda: asked.append(budget.take()), daemon=True)
    thread.start()
    thread.join(PATIENT_S)
    assert asked == [True, True]
