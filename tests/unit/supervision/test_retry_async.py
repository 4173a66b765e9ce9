"""Retries of async calls."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from tests.unit.supervision.retry_world import RefusedError, World, refusals, world

from stream_manager.recovery import Backoff
from stream_manager.supervision import FailedAttempt, GaveUp, retry
from stream_manager.testing import settle


def fetching(call: World) -> Callable[[], Awaitable[str]]:
    """Give the world as an async function."""

    async def fetch() -> str:
        return call()

    return fetch


def test_failures_are_retried_by_the_backoff() -> None:
    """The task sleeps between the attempts, and the loop is free meanwhile."""
    call, made = world(*refusals(2))

    async def script() -> None:
        task = asyncio.ensure_future(made()(fetching(call))())
        await call.clock.advance(0.99)
        assert call.called_at_s == [0.0]
        await call.clock.advance(2.01)
        assert task.result() == "done"

    asyncio.run(script())
    assert call.called_at_s == [0.0, 1.0, 3.0]


def test_the_last_error_is_raised_as_it_is() -> None:
    """With a note, and without another error around it."""
    errors = refusals(2)
    call, made = world(*errors)

    async def script() -> None:
        task = asyncio.ensure_future(made(attempts=2).acall(fetching(call)))
        await call.clock.advance(1.0)
        with pytest.raises(RefusedError) as raised:
            await task
        assert raised.value is errors[1]
        assert raised.value.__notes__ == ["retry gave up after 2 attempts in 1 s: attempts=2"]

    asyncio.run(script())


def test_time_and_chance_are_real_by_default() -> None:
    """Without a clock of the test, sync and async calls wait in truth."""
    call, _ = world(*refusals(2))
    real = retry(on=(OSError,), backoff=Backoff(base_s=0.002, cap_s=0.002, jitter="equal"))
    began_s = time.monotonic()
    assert real.call(call) == "done"
    call.errors += refusals(2)
    assert asyncio.run(real.acall(fetching(call))) == "done"
    assert time.monotonic() - began_s >= 4 * 0.001


def test_a_task_that_is_cancelled_while_it_waits_ends() -> None:
    """The wait is left at once and nothing is called again; later calls retry as ever."""
    call, made = world(*refusals(3))
    guarded = made()(fetching(call))

    async def script() -> None:
        task = asyncio.ensure_future(guarded())
        await settle()
        task.cancel()
        await settle()
        assert task.cancelled()
        again = asyncio.ensure_future(guarded())
        await call.clock.advance(3.0)
        assert again.result() == "done"

    asyncio.run(script())


def test_a_task_that_is_cancelled_while_it_calls_ends() -> None:
    """CancelledError goes through, whatever `on` says."""
    call, made = world()
    begun: list[int] = []

    @made(on=(Exception,))
    async def hang() -> None:
        begun.append(1)
        await call.clock.sleep(1e9)

    async def script() -> None:
        task = asyncio.ensure_future(hang())
        await settle()
        task.cancel()
        await settle()
        assert task.cancelled()

    asyncio.run(script())
    assert begun == [1]


def test_an_error_made_of_a_cancellation_is_not_retried() -> None:
    """A library that turns a cancellation into its own error can't keep the task alive."""
    call, made = world()
    told: list[FailedAttempt] = []

    @made(watch=told.append)
    async def fetch() -> None:
        try:
            await call.clock.sleep(1e9)
        except asyncio.CancelledError:
            raise RefusedError from None

    async def script() -> None:
        task = asyncio.ensure_future(fetch())
        await settle()
        task.cancel()
        await settle()
        with pytest.raises(RefusedError) as raised:
            task.result()
        assert "its task is being cancelled" in raised.value.__notes__[0]

    asyncio.run(script())
    assert [attempt.gave_up for attempt in told] == [GaveUp.CANCELLED]


def test_a_timeout_inside_is_an_error_like_others() -> None:
    """`asyncio.timeout` cancels and makes TimeoutError of it, which is an OSError: retried."""
    call, made = world(*refusals(0))
    attempts: list[int] = []

    @made(attempts=2, retry_after=lambda _: 0.0)
    async def fetch() -> None:
        attempts.append(1)
        async with asyncio.timeout(0):
            await call.clock.sleep(1e9)

    async def script() -> None:
        task = asyncio.ensure_future(fetch())
        while not task.done():
            await call.clock.advance(0.0)
        with pytest.raises(TimeoutError):
            task.result()

    asyncio.run(script())
    assert attempts == [1, 1]


def test_a_wait_that_took_too_long_is_followed_by_no_attempt() -> None:
    """A loop that was blocked past the deadline does not make the task call once more."""
    call, made = world(*refusals(9))

    async def script() -> None:
        task = asyncio.ensure_future(made(deadline_s=7.0)(fetching(call))())
        await settle()
        call.clock.now_s += 8.0
        await call.clock.advance(0.0)
        with pytest.raises(RefusedError, match="refused"):
            task.result()

    asyncio.run(script())
    assert call.called_at_s == [0.0]


def test_tasks_inside_a_call_do_not_retry_either() -> None:
    """The guard reaches the tasks that a call starts and waits for."""
    call, made = world(*refusals(99))
    inner = made()(fetching(call))

    @made(attempts=2, retry_after=lambda _: 0.0)
    async def both() -> None:
        for result in await asyncio.gather(inner(), inner(), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def script() -> None:
        task = asyncio.ensure_future(both())
        await call.clock.advance(100.0)
        with pytest.raises(RefusedError, match="refused"):
            task.result()

    asyncio.run(script())
    assert len(call.called_at_s) == 4


def test_a_task_that_outlives_the_call_retries_by_itself() -> None:
    """What a call leaves running in the background is not without retries for ever."""
    call, made = world(*refusals(2))
    left: list[asyncio.Future[str]] = []
    inner = made()(fetching(call))

    async def background() -> str:
        await call.clock.sleep(10.0)
        return await inner()

    @made()
    async def connect() -> None:
        left.append(asyncio.ensure_future(background()))

    async def script() -> None:
        await connect()
        await call.clock.advance(13.0)
        assert left[0].result() == "done"

    asyncio.run(script())
    assert call.called_at_s == [10.0, 11.0, 13.0]


def test_two_tasks_retry_apart() -> None:
    """Neither is the other's layer, though both run at once."""
    call, made = world(*refusals(4))
    guarded = made()(fetching(call))

    async def script() -> None:
        tasks = [asyncio.ensure_future(guarded()) for _ in range(2)]
        await call.clock.advance(3.0)
        assert [task.result() for task in tasks] == ["done", "done"]

    asyncio.run(script())
    assert call.called_at_s == [0.0, 0.0, 1.0, 1.0, 3.0, 3.0]


def test_it_is_async_where_the_function_is() -> None:
    """Also behind a partial, a method and an object; and the result is known to be async."""

    class Client:
        async def __call__(self, times: int) -> int:
            return times

        @retry(on=(OSError,))
        async def get(self, times: int) -> int:
            """Get it."""
            return times

    client = Client()
    forms: list[Callable[[int], Any]] = [
        client.get,
        retry(on=(OSError,))(client),
        retry(on=(OSError,))(partial(client.get)),
        retry(on=(OSError,))(client.get),
    ]
    assert all(inspect.iscoroutinefunction(form) for form in forms)

    async def script() -> list[int]:
        return [await form(3) for form in forms]

    assert asyncio.run(script()) == [3, 3, 3, 3]
    assert Client.get.__doc__ == "Get it."


def test_acall_awaits_whatever_is_awaitable() -> None:
    """A lambda around an async call is guarded too."""
    call, made = world(*refusals(1))

    async def fetch(times: int) -> str:
        return call() * times

    async def script() -> None:
        task = asyncio.ensure_future(made().acall(lambda: fetch(1)))
        await call.clock.advance(1.0)
        assert task.result() == "done"

    asyncio.run(script())
