"""Only one layer retries, and for no longer than it runs."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.supervision.retry_world import RefusedError, refusals, world

from stream_manager.recovery import Backoff
from stream_manager.supervision import FailedAttempt, RetryBudget, deadline, retry


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


async def by_to_thread(inner: Callable[[], str]) -> str:
    """Take the context along, as it does by itself."""
    return await asyncio.to_thread(inner)


async def by_executor(inner: Callable[[], str]) -> str:
    """Take the context along, which an executor does not."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(None, context.run, inner)


async def by_pool(inner: Callable[[], str]) -> str:
    """Do the same for a pool of one's own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, inner).result()


@pytest.mark.parametrize("elsewhere", [by_to_thread, by_executor, by_pool])
def test_a_thread_that_has_the_context_is_the_same_layer(
    elsewhere: Callable[[Callable[[], str]], Awaitable[str]],
) -> None:
    """Two attempts around a thread's five are two calls."""
    call, made = world(*refusals(9))
    inner = made()(call)
    outer = retry(on=(OSError,), attempts=2, backoff=Backoff(base_s=0.001, cap_s=0.001))

    async def script() -> None:
        with pytest.raises(RefusedError):
            await outer.acall(elsewhere, inner)

    asyncio.run(script())
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
