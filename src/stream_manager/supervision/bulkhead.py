"""Bulkhead: so many calls at once, so many that wait, so long; more are turned away."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from functools import wraps
from types import CoroutineType
from typing import ParamSpec, Protocol, Self, TypeVar

from stream_manager.errors import BulkheadFullError
from stream_manager.recovery.checks import require_counts, require_durations, require_kind
from stream_manager.supervision.guarded import refuse_coroutine, runs_async
from stream_manager.supervision.scope import remaining_s

P = ParamSpec("P")
T = TypeVar("T")


class _Waiter(Protocol):
    """Who stands in the queue. admitted: the place is theirs, written under the lock."""

    admitted: bool

    def wake(self) -> bool:
        """Let it go on; False if it never can."""
        ...


W = TypeVar("W", bound=_Waiter)


class _Thread:
    """A thread that waits."""

    __slots__ = ("_gate", "admitted")

    def __init__(self) -> None:
        self.admitted = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def wake(self) -> bool:
        self._gate.release()
        return True

    def wait(self, at_most_s: float) -> None:
        self._gate.acquire(timeout=at_most_s)


class _Task:
    """A task that waits, on whichever event loop."""

    __slots__ = ("_loop", "_woken", "admitted")

    def __init__(self) -> None:
        self.admitted = False
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._end)
        except RuntimeError:  # its loop was closed around it
            return False
        return True

    async def wait(self, at_most_s: float) -> None:
        timer = self._loop.call_later(at_most_s, self._end)
        try:
            await self._woken
        finally:
            timer.cancel()

    def _end(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


class Bulkhead:
    """Lets `concurrent` calls run at once and `queue` more wait, each for `wait_s` seconds.

    Threads and tasks of any event loop share it, and are let in as they came. A deadline of the
    code around shortens the wait. Use it as a decorator, by `call` and `acall`, or with `with` and
    `async with`. A call that enters it again inside needs a second place.
    Raises BulkheadFullError for a call that finds no place, which is then not made; ValueError,
    naming the field and its value, for numbers that no bulkhead can have.
    """

    def __init__(
        self, name: str, *, concurrent: int = 10, queue: int = 20, wait_s: float = 1.0
    ) -> None:
        require_kind(str, name=name)
        require_counts(1, concurrent=concurrent)
        require_counts(0, queue=queue)
        require_durations(wait_s=wait_s)
        self.name = name
        self.concurrent = concurrent
        self.queue = queue
        self.wait_s = wait_s
        # Re-entrant: a finaliser may run at any allocation, and end a coroutine that waits here.
        self._lock = threading.RLock()
        self._running = 0
        self._waiting: deque[_Waiter] = deque()  # empty unless every place is taken

    @property
    def running(self) -> int:
        """How many calls have a place now."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many calls wait for one now."""
        return len(self._waiting)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return `function`, sync or async as it is, with its calls inside this bulkhead."""
        if runs_async(function, "a bulkhead"):

            @wraps(function)
            async def inside_async(*args: P.args, **kwargs: P.kwargs) -> object:
                return await self.acall(function, *args, **kwargs)  # type: ignore[arg-type]

            return inside_async  # type: ignore[return-value]

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(function, *args, **kwargs)

        return inside

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` once there is a place."""
        with self:
            result = function(*args, **kwargs)
        if isinstance(result, CoroutineType):
            refuse_coroutine(result, function, "a bulkhead")
        return result

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await `function` once there is a place."""
        async with self:
            return await function(*args, **kwargs)

    def __enter__(self) -> Self:
        if (waiter := self._enter(_Thread)) is not None:
            wait_s = self._patience_s()
            try:
                waiter.wait(wait_s)
            except BaseException:
                self._leave(waiter)
                raise
            self._settle(waiter, wait_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._make_room()

    async def __aenter__(self) -> Self:
        if (waiter := self._enter(_Task)) is not None:
            wait_s = self._patience_s()
            try:
                await waiter.wait(wait_s)
            except BaseException:
                self._leave(waiter)
                raise
            self._settle(waiter, wait_s)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._make_room()

    def _enter(self, kind: Callable[[], W]) -> W | None:
        """Take a place and return None, or join the queue and return who waits in it."""
        with self._lock:
            if self._running < self.concurrent:
                self._running += 1
                return None
            if len(self._waiting) < self.queue:
                waiter = kind()
                self._waiting.append(waiter)
                return waiter
        raise self._full(waited_s=None)

    def _make_room(self) -> None:
        """Hand a place to the next who can still be woken; only without one it becomes free."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                waiter.admitted = waiter.wake()
                if waiter.admitted:
                    return
            self._running -= 1

    def _settle(self, waiter: _Waiter, waited_s: float) -> None:
        """Go in after the wait, if a place was given, even in its last moment."""
        if self._withdraw(waiter):
            raise self._full(waited_s=waited_s)

    def _leave(self, waiter: _Waiter) -> None:
        """Give up waiting, and pass on the place that may have been given at that moment."""
        if not self._withdraw(waiter):
            self._make_room()

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Take a waiter out of the queue; False if it has a place instead."""
        with self._lock:
            if waiter in self._waiting:  # else it was let in, or passed over with its loop
                self._waiting.remove(waiter)
            return not waiter.admitted

    def _patience_s(self) -> float:
        left_s = remaining_s()
        return self.wait_s if left_s is None else min(self.wait_s, left_s)

    def _full(self, *, waited_s: float | None) -> BulkheadFullError:
        return BulkheadFullError(
            self.name, concurrent=self.concurrent, queue=self.queue, waited_s=waited_s
        )
