"""Time and chance, behind one small door: nobody else reads a clock or draws a random number."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the product knows of time. Durations are seconds; instants are monotonic seconds."""

    def monotonic_s(self) -> float:
        """Return the seconds of CLOCK_MONOTONIC, comparable between processes of one boot."""
        ...

    def wall(self) -> datetime:
        """Return the date and time in UTC. It may jump; use it only to tell people and files."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds."""
        ...

    def pause(self, delay_s: float) -> None:
        """Block this thread for `delay_s` seconds: for calls that are not on an event loop."""
        ...


class SystemClock:
    """The machine's clocks."""

    # The function itself: guards ask on every call, and a method around it costs more than it.
    monotonic_s = staticmethod(time.monotonic)

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds."""
        await asyncio.sleep(delay_s)

    def pause(self, delay_s: float) -> None:
        """Block this thread for `delay_s` seconds."""
        time.sleep(delay_s)


def chance() -> float:
    """Draw from [0, 1): what jitter is made of."""
    return random.random()  # noqa: S311 - jitter spreads load, it guards nothing


def wall_of(instant_s: float, clock: Clock) -> datetime:
    """Return the date and time of a monotonic instant, as far as today's clock can tell."""
    return datetime.fromtimestamp(clock.wall().timestamp() + instant_s - clock.monotonic_s(), UTC)


def local_time(instant: datetime, now: datetime) -> str:
    """Return the local time of day, with the date unless it is today's."""
    local = instant.astimezone()
    today = local.date() == now.astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"
