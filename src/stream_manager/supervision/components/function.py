"""An asyncio function as a component."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutine

from stream_manager.errors import UsageError
from stream_manager.supervision.component import Component, Run, Snapshot
from stream_manager.supervision.components.arity import arity

Function = Callable[[], Awaitable[object]] | Callable[[Run], Awaitable[object]]


class AsyncFunction:
    """Component: runs `function(run)`, or `function()` if it takes nothing, until it is stopped.

    An exception is a fault, and a return is its end in good order. To stop it, it is cancelled;
    if it has not ended after `teardown_s`, its coroutine is closed.
    """

    def __init__(self, function: Function) -> None:
        self._function: Callable[..., object] = function
        self._takes_run = arity(function) > 0

    async def start(self, run: Run) -> None:
        """Call the function in a task of its own."""
        run.create_task(self._call(run))

    async def teardown(self) -> None:
        """Leave it to the end of the run, which cancels its tasks."""

    def snapshot(self) -> Snapshot | None:
        """Return nothing: a function keeps what it likes by `run.save`."""
        return None

    async def _call(self, run: Run) -> None:
        try:
            result = self._function(run) if self._takes_run else self._function()
            if not isawaitable(result):
                raise UsageError(f"{self._function!r} is not async: run it as a ThreadFunction")
            await result
        except SystemExit as error:
            run.report(error)  # the end of this component, not of the program
        else:
            run.finish()


def as_component(given: object) -> Component:
    """Return what was handed to `Supervisor.add` as a component.

    Raises UsageError for the mistakes that are easily made: a class, a coroutine, a plain value.
    """
    if isinstance(given, type):
        raise UsageError(f"{given.__qualname__} is a class: hand over an instance of it")
    if isinstance(given, Component):
        return given
    if callable(given):
        return AsyncFunction(given)
    if iscoroutine(given):
        given.close()
        raise UsageError("a coroutine can't be started twice: hand over the function, not its call")
    raise UsageError(f"{given!r} is neither an async function nor a Component")
