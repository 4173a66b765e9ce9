"""A clock that a test moves: whoever sleeps on it wakes in order, and nobody really waits."""

import asyncio
import heapq
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

BEGINNING = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
# Whoever still runs after so many turns of the event loop does not come to rest.
MAX_TURNS = 10_000
# Nothing that a test waits for takes longer than this of its time.
AT_MOST_S = 24 * 3600.0

T = TypeVar("T")


class FakeClock:
    """Starts at `now_s` monotonic seconds and at noon of a winter's day; never moves by itself.

    `advance` moves it by some seconds, `until` as far as something takes. It knows of sleepers
    alone: what waits for a process, a thread or a socket needs the real clock. One task moves it.
    """

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        self._began_s = now_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def monotonic_s(self) -> float:
        """Return the instant that the test has set."""
        return self.now_s

    def wall(self) -> datetime:
        """Return the date that belongs to it."""
        return BEGINNING + timedelta(seconds=self.now_s - self._began_s)

    async def sleep(self, delay_s: float) -> None:
        """Return when a test has moved the clock that far."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + delay_s, next(self._numbers), woken))
        await woken

    def pause(self, delay_s: float) -> None:
        """Move on at once: whoever blocks has nobody else to wait for."""
        self.now_s += delay_s

    async def advance(self, seconds: float) -> None:
        """Move on, waking every sleeper at its own instant, and let the tasks react."""
        end_s = self.now_s + seconds
        await settle()
        while (due_s := self._next_s()) is not None and due_s <= end_s:
            await self._jump()
        self.now_s = end_s
        await settle()

    async def until(self, work: Awaitable[T], *, at_most_s: float = AT_MOST_S) -> T:
        """Jump from sleeper to sleeper until `work` is done, and return what it returns.

        Raises TimeoutError when nobody sleeps, or only past `at_most_s`, and it is not done.
        """
        task = asyncio.ensure_future(work)
        end_s = self.now_s + at_most_s
        await settle()
        while not task.done():
            due_s = self._next_s()
            if due_s is None or due_s > end_s:
                task.cancel()
                await asyncio.wait({task})
                raise TimeoutError(
                    f"not done at {self.now_s:g} s, and nobody sleeps"
                    if due_s is None
                    else f"not done within {at_most_s:g} s"
                )
            await self._jump()
        return await task

    def _next_s(self) -> float | None:
        """Return the instant of the next sleeper who still waits, or None."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def _jump(self) -> None:
        due_s, _, woken = heapq.heappop(self._sleepers)
        self.now_s = max(self.now_s, due_s)
        woken.set_result(None)
        await settle()


async def settle() -> None:
    """Let every task that can run do so, until all wait for something."""
    # No public call tells whether anything is ready. A loop that has no such queue gets all turns.
    ready = getattr(asyncio.get_running_loop(), "_ready", (None,))
    for _ in range(MAX_TURNS):
        await asyncio.sleep(0)
        if not ready:
            return
