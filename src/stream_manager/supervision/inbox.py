"""What waits for the loop: events, changes between rounds, and the sleep until there is some."""

import asyncio
from collections import deque
from collections.abc import Callable

from stream_manager.clock import Clock
from stream_manager.recovery import Event
from stream_manager.supervision.ending import within


class Inbox:
    """Events and changes in order of arrival. Not thread-safe: fill it on its event loop."""

    def __init__(self, clock: Clock) -> None:
        self.events: deque[Event] = deque()
        self.changes: deque[Callable[[], None]] = deque()
        self._clock = clock
        self._wake = asyncio.Event()

    def post(self, event: Event) -> None:
        """Hand in an event."""
        self.events.append(event)
        self._wake.set()

    def change(self, change: Callable[[], None]) -> None:
        """Hand in what is to be called when no event waits."""
        self.changes.append(change)
        self._wake.set()

    def changed(self, change: Callable[[], None]) -> asyncio.Future[None]:
        """Hand in a change; return what is done when it is made, or fails as it failed."""
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def carry_out() -> None:
            if made.done():
                return  # nobody waits for it any more
            try:
                change()
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked for it
                made.set_exception(error)
            else:
                made.set_result(None)

        self.change(carry_out)
        return made

    def wake(self) -> None:
        """End the present wait, or the next one."""
        self._wake.set()

    async def until(self, due_s: float | None) -> None:
        """Return at the instant `due_s`, or when something was handed in, or at `wake()`."""
        self._wake.clear()
        if self.events or self.changes:
            return
        if due_s is None:
            await self._wake.wait()
            return
        delay_s = due_s - self._clock.monotonic_s()
        if delay_s > 0:
            woken = asyncio.ensure_future(self._wake.wait())
            try:
                await within(woken, delay_s, self._clock)
            finally:
                woken.cancel()
