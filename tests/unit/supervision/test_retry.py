"""Retries of sync calls: how many, what is told, what is refused."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from tests.unit.supervision.retry_world import RefusedError, refusals, world

from stream_manager.errors import UsageError
from stream_manager.supervision import FailedAttempt, GaveUp, retry


def test_what_succeeds_at_once_is_called_once() -> None:
    """Nothing waits, and the result is the function's own."""
    call, made = world()
    assert made().call(call) == "done"
    assert call.called_at_s == [0.0]


def test_failures_are_retried_by_the_backoff() -> None:
    """Each wait doubles, as the Backoff says."""
    call, made = world(*refusals(4))
    assert made().call(call) == "done"
    assert call.called_at_s == [0.0, 1.0, 3.0, 7.0, 15.0]


def test_the_maximum_counts_attempts_and_not_retries() -> None:
    """attempts=3 makes three calls, and raises the last error itself, with a note."""
    errors = refusals(5)
    call, made = world(*errors, takes_s=0.25)
    with pytest.raises(RefusedError) as raised:
        made(attempts=3).call(call)
    assert raised.value is errors[2]
    assert raised.value.__cause__ is None
    assert call.called_at_s == [0.0, 1.25, 3.5]
    assert raised.value.__notes__ == ["retry gave up after 3 attempts in 3.75 s: attempts=3"]


def test_one_attempt_is_a_call_without_retries() -> None:
    """attempts=1 is allowed, and speaks of one attempt."""
    call, made = world(*refusals(1))
    with pytest.raises(RefusedError) as raised:
        made(attempts=1).call(call)
    assert raised.value.__notes__ == ["retry gave up after 1 attempt in 0 s: attempts=1"]


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), KeyboardInterrupt(), SystemExit(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_in_on_goes_through(error: BaseException) -> None:
    """Other errors, and whatever is no Exception, are neither retried nor touched."""
    call, made = world(error)
    with pytest.raises(type(error)) as raised:
        made(on=(OSError, LookupError)).call(call)
    assert raised.value is error
    assert not hasattr(raised.value, "__notes__")
    assert call.called_at_s == [0.0]


def test_cancellation_is_no_exception_to_retry() -> None:
    """Even `on=(Exception,)` lets it through."""
    call, made = world(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        made(on=(Exception,)).call(call)
    assert call.called_at_s == [0.0]


def test_it_decorates_functions_and_methods() -> None:
    """The decorated function keeps its name, its arguments and its self."""
    call, made = world(*refusals(2))

    class Store:
        """Has a method."""

        @made()
        def load(self, key: str, *, times: int) -> str:
            """Load it."""
            return f"{call()} {key} {times}"

    assert Store().load("a", times=2) == "done a 2"
    assert Store.load.__name__ == "load"
    assert Store.load.__doc__ == "Load it."
    assert len(call.called_at_s) == 3


def test_each_failed_attempt_is_told() -> None:
    """The hook gets numbers, times and the end; what comes after a success is not told."""
    errors = refusals(3)
    call, made = world(*errors, takes_s=0.5)
    told: list[FailedAttempt] = []

    @made(attempts=3, watch=told.append)
    def load() -> str:
        return call()

    with pytest.raises(RefusedError):
        load()
    common: dict[str, Any] = {"function": load.__qualname__, "attempts": 3}
    assert told == [
        FailedAttempt(
            **common, number=1, error=errors[0], elapsed_s=0.5, delay_s=1.0, gave_up=None
        ),
        FailedAttempt(
            **common, number=2, error=errors[1], elapsed_s=2.0, delay_s=2.0, gave_up=None
        ),
        FailedAttempt(
            **common,
            number=3,
            error=errors[2],
            elapsed_s=4.5,
            delay_s=None,
            gave_up=GaveUp.ATTEMPTS,
        ),
    ]


def test_a_hook_that_raises_is_logged_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the retries nor the call's own error suffer from it."""
    call, made = world(*refusals(2))

    def broken(attempt: FailedAttempt) -> None:
        raise LookupError(attempt.function)

    assert made(watch=broken).call(call) == "done"
    assert caplog.text.count("what watches the retries of") == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"on": ()}, "on is ()"),
        ({"on": OSError}, "on is <class 'OSError'>"),
        ({"on": [OSError]}, "on is [<class 'OSError'>]"),
        ({"on": ("OSError",)}, "on is ('OSError',)"),
        ({"on": (BaseException,)}, "expected a tuple of subclasses of Exception"),
        ({"on": (OSError, asyncio.CancelledError)}, "expected a tuple of subclasses of Exception"),
        ({"deadline_s": 1.0}, "the first retry waits at least 1 s"),
    ],
)
def test_an_impossible_retry_is_refused(wrong: dict[str, Any], told: str) -> None:
    """What can't be is refused where it is written, with the field and its value."""
    _, made = world()
    with pytest.raises(ValueError, match=re.escape(told)):
        made(**wrong)


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [_generator, _async_generator])
def test_generators_are_refused(function: Callable[[], object]) -> None:
    """Their bodies run after the call has returned, where no retry could see them fail."""
    with pytest.raises(UsageError, match=r"can't guard the generator _\w*generator"):
        retry(on=(OSError,))(function)


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
def test_what_is_no_function_is_refused(kind: Callable[..., Any]) -> None:
    """A decorator in the wrong order is told at once, not at the first call."""
    with pytest.raises(UsageError, match="retry needs a function"):
        retry(on=(OSError,))(kind(len))


def test_a_coroutine_does_not_slip_through_a_sync_call() -> None:
    """`call` around what returns a coroutine would guard nothing: it says so."""

    async def fetch() -> str:
        return "never"

    def sync() -> Coroutine[Any, Any, str]:
        return fetch()

    with pytest.raises(UsageError, match="use acall"):
        retry(on=(OSError,))(sync)().close()
