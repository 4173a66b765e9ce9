"""Only one layer retries, and for no longer than it runs."""

import contextvars

import pytest
from tests.unit.supervision.retry_world import RefusedError, refusals, world

from stream_manager.supervision import FailedAttempt, RetryBudget, deadline


def test_only_the_outermost_layer_retries() -> None:
    """Three layers of five attempts make five calls, not 125, and one note."""
    call, made = world(*refusals(200))
    guarded = made()(made()(made()(call)))
    with pytest.raises(RefusedError) as raised:
        guarded()
    assert len(call.called_at_s) == 5
    assert len(raised.value.__notes__) == 1


def test_an_inner_layer_tells_nothing_and_pays_nothing() -> None:
    """Its budget and its watch are left alone: it has one attempt, and that is the outer's."""
    call, made = world(*refusals(9))
    budget = RetryBudget("api", share=1.0, floor_per_s=0.1, clock=call.clock)
    told: list[FailedAttempt] = []
    with pytest.raises(RefusedError):
        made(attempts=2).call(made(budget=budget, watch=told.append)(call))
    assert told == []
    assert [budget.take(), budget.take()] == [True, False]  # the floor's one, no request's


def test_a_deadline_inside_a_retry_is_no_layer_that_ends_the_guard() -> None:
    """What is nested stays nested, with a deadline in between."""
    call, made = world(*refusals(9))
    inner = made()(call)

    def step() -> str:
        with deadline(100.0, clock=call.clock):
            return inner()

    with pytest.raises(RefusedError):
        made(attempts=2).call(step)
    assert len(call.called_at_s) == 2


def test_the_guard_ends_with_the_call() -> None:
    """After an outer call, in success or failure, the next one retries by itself again."""
    call, made = world(*refusals(5))
    guarded = made()(call)
    with pytest.raises(RefusedError):
        made(attempts=1).call(guarded)
    assert guarded() == "done"
    made().call(str)
    call.errors += refusals(1)
    assert guarded() == "done"


def test_what_was_started_inside_is_not_bound_after_the_end() -> None:
    """A copy of the context that outlives the outer call retries, and has no deadline of it."""
    call, made = world(*refusals(4))
    contexts = []
    with deadline(0.5, clock=call.clock):
        made().call(lambda: contexts.append(contextvars.copy_context()))
    assert contexts[0].run(made()(call)) == "done"
    assert len(call.called_at_s) == 5
