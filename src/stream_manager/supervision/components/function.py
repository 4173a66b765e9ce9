"""An asyncio function as a component."""

from collections.abc import Awaitable, Callable
from inspect import (
    isasyncgenfunction,
    isawaitable,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
    unwrap,
)

from stream_manager.errors import UsageError
from stream_manager.supervision.component import Run, Snapshot
from stream_manager.supervision.components.arity import accepts, arity, name_of, require_callable

Function = Callable[[], Awaitable[object]] | Callable[[Run], Awaitable[object]]
NOT_ASYNC = "is not async: make it an `async def`, or hand over ThreadFunction(…) if it blocks"


class AsyncFunction:
    """Component: runs `function(run)`, or `function()` if it takes nothing, until it is stopped.

    An exception is a fault, and a return is its end in good order. To stop it, it is cancelled;
    if it has not ended after `teardown_s`, its coroutine is closed. Raises UsageError for what
    would block the event loop, or can't be called so.
    """

    def __init__(self, function: Function) -> None:
        require_callable(function)
        self._function: Callable[..., object] = function
        self._takes_run = arity(function) > 0
        if refusal := _refusal(function, arguments=int(self._takes_run)):
            raise UsageError(f"{name_of(function)} {refusal}")

    async def start(self, run: Run) -> None:
        """Call the function in a task of its own."""
        run.create_task(self._call(run))

    async def teardown(self) -> None:
        """Leave it to the end of the run, which cancels its tasks."""

    def snapshot(self) -> Snapshot | None:
        """Return nothing: a function keeps what it likes by `run.save`."""
        return None

    async def _call(self, run: Run) -> None:
        result = self._function(run) if self._takes_run else self._function()
        if not isawaitable(result):
            raise UsageError(f"{name_of(self._function)} {NOT_ASYNC}")
        await result
        run.finish()


def _refusal(function: Callable[..., object], *, arguments: int) -> str | None:
    """Return why a function can't be run, as far as it shows before it is called."""
    if isasyncgenfunction(function) or isgeneratorfunction(function):
        return "yields: expected an async function that works until it is cancelled"
    if not accepts(function, arguments):
        return "takes other arguments: expected none, or the run (functools.partial binds the rest)"
    inner = unwrap(function)
    if isfunction(inner) and not iscoroutinefunction(inner) and inner.__name__ != "<lambda>":
        return NOT_ASYNC
    return None
