"""A function in a thread as a component."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from inspect import iscoroutinefunction

from stream_manager.errors import UsageError
from stream_manager.supervision.component import Run, Snapshot
from stream_manager.supervision.components.arity import accepts, arity, name_of, require_callable

Function = Callable[[threading.Event], object] | Callable[[threading.Event, Run], object]


class ThreadFunction:
    """Component: runs `function(stop)` or `function(stop, run)` in a thread of its own.

    An exception is a fault, and a return before `stop` is set is its end in good order.
    A thread can't be forced: one that goes on after its teardown is abandoned, which is logged,
    and the next run gets a new thread beside it. Threads are daemons: none keeps the program.
    """

    def __init__(self, function: Function) -> None:
        require_callable(function)
        self._function: Callable[..., object] = function
        self._takes_run = arity(function) > 1
        if iscoroutinefunction(function):
            raise UsageError(f"{name_of(function)} is async: hand it over as it is, in no thread")
        if not accepts(function, 2 if self._takes_run else 1):
            raise UsageError(
                f"{name_of(function)} takes other arguments: expected (stop), or (stop, run)"
            )
        self._life: _Life | None = None

    async def start(self, run: Run) -> None:
        """Start the thread."""
        life = self._life = _Life(asyncio.get_running_loop())
        run.create_task(life.watched())
        arguments = (life, run)
        thread = threading.Thread(target=self._call, args=arguments, name=run.id, daemon=True)
        thread.start()

    async def teardown(self) -> None:
        """Ask the thread to stop, and wait until it has."""
        if self._life is not None:
            self._life.stop.set()
            await self._life.over.wait()

    def snapshot(self) -> Snapshot | None:
        """Return nothing: a function keeps what it likes by `run.save`."""
        return None

    def _call(self, life: "_Life", run: Run) -> None:
        try:
            self._function(life.stop, run) if self._takes_run else self._function(life.stop)
        except BaseException as error:  # noqa: BLE001 - the root of a thread
            run.report(error)
        else:
            run.finish()
        finally:
            life.ended()


class _Life:
    """One thread: how to stop it, and whether it is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stop = threading.Event()
        self.over = asyncio.Event()
        self._loop = loop

    async def watched(self) -> None:
        """Return when the thread is over; it is told to stop when nobody waits any more."""
        try:
            await self.over.wait()
        finally:
            self.stop.set()

    def ended(self) -> None:
        """Say, in the thread, that it is over."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self.over.set)
