"""A clock that tests move by hand."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

BEGINNING = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
# How many turns of the event loop a task may need to react to its timer.
TURNS = 20


class FakeClock:
    """Starts at `now_s` monotonic seconds and at noon of a winter's day; never moves by itself."""

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
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, woken = heapq.heappop(self._sleepers)
            self.now_s = max(self.now_s, due_s)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.now_s = end_s
        await settle()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
