"""The conditions of the network, and what they do: all connections of a proxy share one link."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from stream_manager.clock import Clock

GRAIN_S = 0.05  # a slow link takes bytes in portions that pass within that time
GRAIN_MIN_BYTES = 256
GRAIN_MAX_BYTES = 65536
# A router's queue: a datagram that would have to wait longer is dropped.
QUEUE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the link is like. The defaults are those of a perfect one.

    latency_s, jitter_s: each way everything takes the one, and at random up to the other more.
    rate_bps: bits that pass in a second, each way, for all connections together; None: no limit.
    loss: the share of datagrams that never arrive, from 0 to 1.
    cut: nothing passes, not even a connection's beginning or end.
    half_open: connections are accepted, and that is all.
    slow_close_s: how much later one side learns that the other has ended.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float | None = None
    loss: float = 0.0
    cut: bool = False
    half_open: bool = False
    slow_close_s: float = 0.0


class Bottleneck:
    """Where one direction of the link is narrow: bytes pass one after another, at its rate."""

    def __init__(self) -> None:
        self._free_at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return how long what arrives now waits for what came before."""
        return max(0.0, self._free_at_s - now_s)

    def passed_s(self, size_bytes: int, now_s: float, rate_bps: float | None) -> float:
        """Take bytes in; return the instant at which the last of them has passed."""
        if rate_bps is None:
            self._free_at_s = now_s
        else:
            self._free_at_s = now_s + self.wait_s(now_s) + size_bytes * 8 / rate_bps
        return self._free_at_s


class Link:
    """The conditions as they are now, and how long things take under them.

    `chance` draws from [0, 1).
    """

    def __init__(self, clock: Clock, chance: Callable[[], float]) -> None:
        self.clock = clock
        self.to_viewer = Bottleneck()
        self.to_target = Bottleneck()
        self._chance = chance
        self._conditions = Conditions()
        self._carries = asyncio.Event()
        self._answers = asyncio.Event()
        self.change(self._conditions)

    @property
    def conditions(self) -> Conditions:
        """What the link is like."""
        return self._conditions

    def change(self, conditions: Conditions) -> None:
        """Be like this for all that arrives from now on."""
        self._conditions = conditions
        _set(self._carries, not conditions.cut)
        _set(self._answers, not conditions.cut and not conditions.half_open)

    async def carries(self) -> None:
        """Return once the link is not cut."""
        await self._carries.wait()

    async def answers(self) -> None:
        """Return once the link is neither cut nor half open."""
        await self._answers.wait()

    @property
    def grain_bytes(self) -> int:
        """How much of a connection's data to take in at a time: on a slow link little."""
        rate_bps = self._conditions.rate_bps
        if rate_bps is None:
            return GRAIN_MAX_BYTES
        return min(max(int(rate_bps / 8 * GRAIN_S), GRAIN_MIN_BYTES), GRAIN_MAX_BYTES)

    def take(self, size_bytes: int, bottleneck: Bottleneck) -> tuple[float, float]:
        """Take in bytes of a connection.

        Returns the instants when the bottleneck has let them pass, and when they arrive.
        """
        passed_s = bottleneck.passed_s(
            size_bytes, self.clock.monotonic_s(), self._conditions.rate_bps
        )
        return passed_s, passed_s + self._travel_s()

    def end_s(self) -> float:
        """Return the instant when an end of one side, seen now, reaches the other."""
        return self.clock.monotonic_s() + self._travel_s() + self._conditions.slow_close_s

    def datagram_s(self, size_bytes: int, bottleneck: Bottleneck) -> float | None:
        """Take in a datagram; return how many seconds it takes, None if it is lost."""
        conditions, now_s = self._conditions, self.clock.monotonic_s()
        lost = conditions.cut or self._chance() < conditions.loss
        if lost or bottleneck.wait_s(now_s) > QUEUE_S:
            return None
        passed_s = bottleneck.passed_s(size_bytes, now_s, conditions.rate_bps)
        return passed_s - now_s + self._travel_s()

    def _travel_s(self) -> float:
        conditions = self._conditions
        if not conditions.jitter_s:
            return conditions.latency_s
        return conditions.latency_s + conditions.jitter_s * self._chance()


def _set(event: asyncio.Event, wanted: bool) -> None:  # noqa: FBT001 - what it is set to
    if wanted:
        event.set()
    else:
        event.clear()
