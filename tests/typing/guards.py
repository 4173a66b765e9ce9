"""The guards as their users write them; `mypy --strict` reads it, nobody runs it."""

from collections.abc import Coroutine
from typing import Any, assert_type

from stream_manager import (
    Backoff,
    BreakerRegistry,
    Bulkhead,
    CircuitBreaker,
    FailedAttempt,
    RetryBudget,
    deadline,
    remaining_s,
    retry,
)
from stream_manager.recovery import BreakerState, Ramp, Transition

breaker = CircuitBreaker("api", failure_rate=0.5, min_calls=10, window_s=30.0, ramp=Ramp())
bulkhead = Bulkhead("api", concurrent=2, queue=1, wait_s=1.0)
budget = RetryBudget("api", share=0.1)
breakers = BreakerRegistry(ignore=(KeyError,), consecutive_failures=3)


@breakers.on_transition
def heard(transition: Transition) -> None:
    """Hear of a transition."""
    assert_type(transition.after, BreakerState)


def watched(attempt: FailedAttempt) -> None:
    """Hear of an attempt."""
    assert_type(attempt.delay_s, float | None)


patient = retry(on=(OSError, KeyError), backoff=Backoff(), budget=budget, watch=watched)


@breaker
@patient
@bulkhead
def load(path: str, *, size: int = 0) -> bytes:
    """Keep the arguments and the result of a function."""
    return path.encode()[:size]


@breaker
@patient
@bulkhead
async def fetch(host: str) -> int:
    """Keep those of a coroutine function."""
    return len(host)


async def uses() -> None:
    """Take what the guards give back."""
    assert_type(load("a", size=1), bytes)
    made = assert_type(fetch("a"), Coroutine[Any, Any, int])
    assert_type(await made, int)
    assert_type(breaker.call(load, "a", size=1), bytes)
    assert_type(await breaker.call(fetch, "a"), int)
    assert_type(patient.call(load, "a"), bytes)
    assert_type(await patient.acall(fetch, "a"), int)
    assert_type(await patient.acall(lambda: fetch("a")), int)
    assert_type(bulkhead.call(load, "a"), bytes)
    assert_type(await bulkhead.acall(fetch, "a"), int)
    async with breaker as entered, bulkhead as inside:
        assert_type((entered, inside), tuple[CircuitBreaker, Bulkhead])
    with breakers.of("host") as keyed, bulkhead, deadline(1.0):
        assert_type(keyed, CircuitBreaker)
        assert_type(remaining_s(), float | None)
    assert_type([it.state for it in breakers], list[BreakerState])


async def misuses() -> None:
    """What a type checker has to refuse."""
    load(7)  # type: ignore[arg-type]
    await fetch()  # type: ignore[call-arg]
    breaker.call(load, size="1")  # type: ignore[call-arg, arg-type]
    await patient.acall(load, "a")  # type: ignore[arg-type]
    CircuitBreaker("api", min_call=10)  # type: ignore[call-arg]
    CircuitBreaker(load)  # type: ignore[arg-type]
    retry(on=OSError)  # type: ignore[arg-type]
    retry(on=(KeyboardInterrupt,))  # type: ignore[arg-type]
    Backoff(jitter="some")  # type: ignore[arg-type]
