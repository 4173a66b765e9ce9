"""What people read of a breaker: the sentences, and the diagram that the table draws."""

import pytest
from tests.unit.recovery.breaker_script import BreakerScript

from stream_manager.recovery import (
    BreakerRules,
    BreakerState,
    Outcome,
    Trigger,
    transition_in_words,
)
from stream_manager.recovery.breaker_states import TABLE, diagram

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState


def last_words(script: BreakerScript) -> str:
    """Return the sentence of the last transition, with instants as plain seconds."""
    return transition_in_words(script.told[-1], wall=lambda instant_s: f"{instant_s:g}")


@pytest.mark.parametrize(
    ("rules", "outcomes", "why"),
    [
        ({}, "FFFFF", "5 calls in a row failed, and 5 open it"),
        (
            {"failure_rate": 0.5, "min_calls": 4},
            "SSFF",
            "2 of 4 calls failed, and 50% open it",
        ),
    ],
)
def test_an_opening_tells_why_and_when_it_goes_on(
    rules: BreakerRules, outcomes: str, why: str
) -> None:
    """The numbers, the limit, the next instant and the last failure."""
    script = BreakerScript(**rules)
    script.calls(outcomes)
    assert last_words(script) == (
        f"Circuit breaker camera-api opened: {why}. It is tried again at 1003.75, in 4 s. "
        "The last failure was OSError: gone."
    )


def test_each_trigger_has_its_words() -> None:
    """A breaker's whole life can be read."""
    script = BreakerScript(slow_call_s=2.0, min_calls=4, successes_to_close=1, probe_lease_s=10.0)
    script.calls("SSSS", took_s=3.0)
    read = [last_words(script)]
    script.open_time_passes()
    probe = script.admit()
    read.append(last_words(script))
    script.settle(probe, Outcome.SUCCESS, took_s=3.25)
    read.append(last_words(script))
    script.open_time_passes()
    script.calls("F")
    read.append(last_words(script))
    script.open_time_passes()
    script.admit()
    script.now_s += 10.0
    assert script.refused()
    read.append(last_words(script))
    script.open_time_passes()
    script.calls("S")
    read.append(last_words(script))
    script.breaker.force_open(script.now_s)
    read.append(last_words(script))
    script.breaker.reset(script.now_s)
    read.append(last_words(script))
    parts = [
        "opened: 4 of 4 calls were slow, and 50% open it. It is tried again",
        "became half-open: its open time is over, and a call came.",
        "opened: a probe took 3.25 s, and 2 s are slow. It is tried again",
        "opened: a probe failed. It is tried again",
        "opened: a probe did not come back within 10 s. It is tried again",
        "closed: probes succeeded, 1 in all.",
        "was forced open: a person wants it so, until a reset.",
        "closed: a person reset it.",
    ]
    assert all(part in sentence for part, sentence in zip(parts, read, strict=True))
    assert {it.trigger for it in script.told} == set(Trigger) - {
        Trigger.CONSECUTIVE,
        Trigger.FAILURE_RATE,
    }


def test_a_dry_run_says_that_it_is_one() -> None:
    """Nobody shall look for calls that were not rejected."""
    script = BreakerScript(enforce=False)
    script.calls("FFFFF")
    assert " opened (a dry run: no call is rejected): 5 calls" in last_words(script)


def test_the_diagram_is_drawn_from_the_table() -> None:
    """Each pair that changes the state is an arrow, and nothing else is."""
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> closed"]
    arrows = {
        (before.strip(), after, trigger)
        for line in lines[2:]
        for before, rest in [line.split(" --> ")]
        for after, triggers in [rest.split(": ")]
        for trigger in triggers.split(", ")
    }
    assert arrows == {
        (before.value, after.value, trigger.value)
        for (before, trigger), after in TABLE.items()
        if after not in {None, before}
    }
