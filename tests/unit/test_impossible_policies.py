"""No policy and no guard takes a number that can't be meant: one table for all of them."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from stream_manager import BreakerRegistry, Bulkhead, CircuitBreaker, RetryBudget, deadline, retry
from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, BreakerPolicy, Budget, Ramp, RecoveryPolicy
from stream_manager.recovery.incidents import IncidentPolicy
from stream_manager.recovery.retry_budget import RetryAllowance
from stream_manager.supervision.admission import check_stall

made_bulkhead = partial(Bulkhead, "api")
made_breaker = partial(CircuitBreaker, "api")
made_budget = partial(RetryBudget, "api")
made_retry = partial(retry, on=(OSError,))


def entered_deadline(within_s: float) -> None:
    """Enter a deadline: only then it is looked at."""
    with deadline(within_s):
        pytest.fail("entered")


Made = Callable[..., object]
NO_NUMBERS = (nan, inf, -inf, True, "3")
NO_COUNTS = (*NO_NUMBERS, 0, -1, 2.5, 3.0)
NO_DURATIONS = (*NO_NUMBERS, 0, 0.0, -1.0, 2e9, 10**400)
NO_SHARES = (*NO_NUMBERS, 0, -0.1, 1.01)
OTHERS = (None, *NO_NUMBERS)

COUNTS: dict[Made, tuple[str, ...]] = {
    Budget: ("restarts",),
    RecoveryPolicy: ("give_up_after_attempts",),
    IncidentPolicy: ("members", "ramp_first", "ramp_most"),
    Ramp: ("first_calls", "cap_calls"),
    BreakerPolicy: (
        *("consecutive_failures", "min_calls", "window_calls"),
        *("max_concurrent", "successes_to_close"),
    ),
    made_breaker: ("consecutive_failures",),
    made_bulkhead: ("concurrent",),
    made_retry: ("attempts",),
}
DURATIONS: dict[Made, tuple[str, ...]] = {
    Backoff: ("base_s", "cap_s"),
    Budget: ("within_s",),
    RecoveryPolicy: (
        *("stable_for_s", "verify_for_s", "start_deadline_s", "teardown_s", "probe_every_s"),
        "give_up_after_s",
    ),
    IncidentPolicy: (
        *("window_s", "probe_every_s", "slow_after_s", "slow_probe_every_s", "ramp_step_s"),
    ),
    Ramp: ("step_s", "lasts_s"),
    BreakerPolicy: ("slow_call_s", "window_s", "open_s", "open_cap_s", "probe_lease_s"),
    RetryAllowance: ("within_s",),
    made_breaker: ("open_s",),
    made_budget: ("within_s",),
    made_bulkhead: ("wait_s",),
    made_retry: ("deadline_s", "retry_after_at_most_s"),
    entered_deadline: ("within_s",),
}
SHARES: dict[Made, tuple[str, ...]] = {
    IncidentPolicy: ("share",),
    BreakerPolicy: ("failure_rate", "slow_rate"),
}
# Each has a range of its own, at whose ends it is tested.
OTHER_NUMBERS: dict[Made, tuple[str, ...]] = {
    Backoff: ("factor",),
    IncidentPolicy: ("probe_spread",),
    RetryAllowance: ("share", "floor_per_s"),
}
OTHER_KINDS: dict[Made, tuple[str, ...]] = {
    RecoveryPolicy: ("backoff", "budget", "enforce"),
    IncidentPolicy: ("enforce",),
    BreakerPolicy: ("enforce",),
    made_retry: ("backoff",),
}


def cases() -> Iterator[tuple[Made, str, object]]:
    """Yield who must refuse which value in which field."""
    tables = (
        (COUNTS, NO_COUNTS),
        (DURATIONS, NO_DURATIONS),
        (SHARES, NO_SHARES),
        (OTHER_NUMBERS, OTHERS),
        (OTHER_KINDS, (None, 1, "no")),
    )
    for table, values in tables:
        for made, names in table.items():
            for name in names:
                yield from ((made, name, value) for value in values)
    for name in ("max_concurrent", "successes_to_close", "open_s", "open_cap_s", "probe_lease_s"):
        yield BreakerPolicy, name, None
    for value in (*OTHERS, -1, 2.5):
        yield made_bulkhead, "queue", value
    yield BreakerPolicy, "ramp", 5
    yield made_retry, "budget", 5
    for name in ("watch", "retry_after", "chance"):
        yield made_retry, name, 5
    for made in (CircuitBreaker, Bulkhead, RetryBudget):
        yield made, "name", print  # what `@CircuitBreaker` without its call hands over
    for made in (CircuitBreaker("api").on_transition, BreakerRegistry().on_transition):
        yield made, "listener", 5


def test_what_can_not_be_is_refused_by_name_and_value() -> None:
    """In every field of every policy, and the message says what may stand there."""
    for made, name, value in cases():
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - its whole text is compared below
            made(**{name: value})
        assert str(raised.value).startswith(f"{name} is {value!r}: expected "), (made, name, value)


@pytest.mark.parametrize("value", NO_DURATIONS)
def test_an_impossible_silence_is_refused(value: float) -> None:
    """As what the supervisor was asked for wrongly."""
    with pytest.raises(UsageError) as raised:
        check_stall(value)
    assert str(raised.value).startswith(f"stall_after_s is {value!r}: expected ")


@pytest.mark.parametrize(
    "policy", [Backoff, Budget, RecoveryPolicy, IncidentPolicy, Ramp, BreakerPolicy, RetryAllowance]
)
def test_every_field_of_a_policy_is_in_the_tables(policy: Any) -> None:  # noqa: ANN401 - a class
    """A new one has to be thought of."""
    tables = (COUNTS, DURATIONS, SHARES, OTHER_NUMBERS, OTHER_KINDS)
    tabled = {name for table in tables for name in table.get(policy, ())}
    assert {field.name for field in fields(policy)} - {"jitter", "ramp"} == tabled
