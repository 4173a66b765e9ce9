"""What a breaker's policy refuses, what it warns of, and what it takes where nothing is given."""

from dataclasses import fields
from typing import Any

import pytest

from stream_manager.recovery import BreakerPolicy, BreakerRules, Ramp


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"open_s": 10.0, "open_cap_s": 9.0}, r"open_cap_s is 9.0: expected at least open_s \(10"),
        ({"slow_rate": 0.5}, "slow_rate is 0.5: expected slow_call_s beside it"),
        ({"window_s": 30.0, "window_calls": 10}, "window_calls is 10: expected none beside"),
    ],
)
def test_values_that_contradict_each_other_are_refused(rules: BreakerRules, message: str) -> None:
    """Each is possible alone."""
    with pytest.raises(ValueError, match=message):
        BreakerPolicy(**rules)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cap_calls": 19}, r"cap_calls is 19: expected at least first_calls \(20\)"),
        ({"step_s": 2.0}, r"lasts_s is 1.0: expected at least step_s \(2.0\)"),
    ],
)
def test_an_impossible_ramp_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    """A ramp ends above where it begins, and lasts a step at least."""
    with pytest.raises(ValueError, match=message):
        Ramp(**values)


def test_a_ramp_that_doubled_a_thousand_times_is_at_its_cap() -> None:
    """No number of steps overflows."""
    assert [Ramp().allowed(step) for step in (0, 1, 3, 4, 1000)] == [20, 40, 160, 200, 200]


@pytest.mark.parametrize(
    ("rules", "odd"),
    [
        ({"window_calls": 5, "min_calls": 6}, "min_calls is 6, more than window_calls (5)"),
        (
            {"consecutive_failures": 6, "failure_rate": 1.0, "window_calls": 5},
            "consecutive_failures is 6, more than window_calls (5)",
        ),
        ({"window_s": 60.0}, "window_s is 60.0, but neither failure_rate"),
        ({"window_calls": 60}, "window_calls is 60, but neither failure_rate"),
        ({"slow_call_s": 30.0}, "slow_call_s is 30.0, not below probe_lease_s (30.0)"),
    ],
)
def test_what_is_possible_but_odd_is_told(rules: BreakerRules, odd: str) -> None:
    """One sentence each, with the field and its value."""
    (told,) = BreakerPolicy(**rules).oddities()
    assert odd in told


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"failure_rate": 0.5, "window_calls": 5},
        {"min_calls": 5, "window_calls": 5},
        {"consecutive_failures": 5, "failure_rate": 1.0, "window_calls": 5},
        {"slow_call_s": 2.0, "window_s": 10.0},
    ],
)
def test_ordinary_rules_are_not_odd(rules: BreakerRules) -> None:
    """The default minimum is clamped to a small window without a word: nobody asked for it."""
    assert list(BreakerPolicy(**rules).oddities()) == []


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        ({}, (5, None, None, 10)),
        ({"consecutive_failures": 3}, (3, None, None, 10)),
        ({"failure_rate": 0.2}, (None, 0.2, None, 10)),
        ({"min_calls": 7}, (None, 0.5, None, 7)),
        ({"min_calls": 7, "consecutive_failures": 3}, (3, 0.5, None, 7)),
        ({"slow_call_s": 1.0}, (5, None, 0.5, 10)),
        ({"slow_call_s": 1.0, "slow_rate": 1.0, "failure_rate": 0.1}, (None, 0.1, 1.0, 10)),
        ({"failure_rate": 0.5, "window_calls": 4}, (None, 0.5, None, 4)),
    ],
)
def test_what_is_given_decides_what_opens(
    rules: BreakerRules, limits: tuple[int | None, float | None, float | None, int]
) -> None:
    """Five in a row by default; a rate, or a number of calls, means a rate instead."""
    policy = BreakerPolicy(**rules)
    reached = (policy.consecutive_limit, policy.failure_limit, policy.slow_limit, policy.minimum)
    assert reached == limits


def test_the_keywords_are_the_policys_fields() -> None:
    """Whoever takes them as keywords takes all of them, with the same types."""
    types = {field.name: field.type for field in fields(BreakerPolicy)}
    assert BreakerRules.__annotations__ == types
