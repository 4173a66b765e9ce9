"""What a breaker remembers of recent calls: those of the last seconds, or the last so many.

A success can't raise a share of failures or of slow calls. So the owner may count one without a
lock, by `good += 1`, while `dilutes()` holds and the instant is before `until_s`: on CPython that
loses nothing, for no other thread runs between the comparison and the sum; an interpreter without
its global lock may lose a success, which makes the share look worse, never better.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from stream_manager.recovery.checks import refuse

BUCKETS = 10


@dataclass(slots=True, kw_only=True)
class Tally:
    """So many calls, and how many of them failed and were slow (a call can be both)."""

    calls: int = 0
    failures: int = 0
    slow: int = 0

    @property
    def failure_rate(self) -> float:
        """The share that failed; 0 of no calls."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """The share that was slow; 0 of no calls."""
        return self.slow / self.calls if self.calls else 0.0

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one call."""
        self.calls += 1
        self.failures += failed
        self.slow += slow

    @classmethod
    def of(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Return the sum."""
        total = cls()
        for tally in tallies:
            total.calls += tally.calls
            total.failures += tally.failures
            total.slow += tally.slow
        return total


class Window(Protocol):
    """The calls that a decision looks at."""

    good: int
    until_s: float
    shape: str

    def count(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """Count one call that ended at `now_s`."""

    def tally(self, now_s: float) -> Tally:
        """Return what the window holds at `now_s`; it changes nothing."""

    def dilutes(self) -> bool:
        """Tell whether one more success could only make the shares smaller."""

    def rows(self, now_s: float) -> list[list[int]]:
        """Return the content as numbers, the oldest first: what `refill` takes."""

    def refill(self, rows: Sequence[Sequence[int]], elapsed_s: float) -> None:
        """Take the content over from a window of the same shape, `elapsed_s` later.

        Raises ValueError for what no such window can hold.
        """


class TimeWindow:
    """The last `window_s` seconds in ten buckets, which move on when somebody counts."""

    def __init__(self, window_s: float, minimum: int, now_s: float) -> None:
        self._minimum = minimum
        self._window_s = window_s
        self._width_s = window_s / BUCKETS
        self.shape = f"{window_s:g} s"
        self._buckets = deque((Tally() for _ in range(BUCKETS)), maxlen=BUCKETS)
        self.good = 0  # successes of the newest bucket that were counted without a lock
        self.until_s = now_s + self._width_s

    def count(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """Move on to `now_s`, forgetting what is older than the window, and count."""
        if steps := self._steps(now_s):
            self._buckets[-1].calls += self.good
            self.good = 0
            self._buckets.extend(Tally() for _ in range(steps))
            begins_s = now_s if steps == BUCKETS else self.until_s + (steps - 1) * self._width_s
            self.until_s = begins_s + self._width_s
        self._buckets[-1].add(failed=failed, slow=slow)

    def tally(self, now_s: float) -> Tally:
        """Return the sum of the buckets that are not too old at `now_s`."""
        return Tally.of(self._current(now_s))

    def dilutes(self) -> bool:
        """Tell whether there is nothing bad, or already enough calls to have judged it."""
        total = Tally.of(self._buckets)
        return not (total.failures or total.slow) or total.calls + self.good >= self._minimum

    def rows(self, now_s: float) -> list[list[int]]:
        """Return calls, failures and slow calls of each bucket that is not too old."""
        return [[it.calls, it.failures, it.slow] for it in self._current(now_s)]

    def refill(self, rows: Sequence[Sequence[int]], elapsed_s: float) -> None:
        """Take buckets over, and move on by as many as began meanwhile."""
        if len(rows) != BUCKETS:
            refuse("window", rows, f"{BUCKETS} rows for {self.shape}")
        for calls, failures, slow in rows:
            self._buckets.append(Tally(calls=calls, failures=failures, slow=slow))
        begun = BUCKETS if elapsed_s >= self._window_s else int(elapsed_s / self._width_s)
        self._buckets.extend(Tally() for _ in range(begun))

    def _steps(self, now_s: float) -> int:
        """Return how many buckets have begun since the newest one ended; all after a long rest."""
        over_s = now_s - self.until_s
        if over_s < 0:
            return 0
        if over_s >= self._window_s:
            return BUCKETS
        return min(BUCKETS, int(over_s / self._width_s) + 1)

    def _current(self, now_s: float) -> list[Tally]:
        steps = self._steps(now_s)
        newest = Tally.of((self._buckets[-1], Tally(calls=self.good)))
        kept = [*[*self._buckets][:-1], newest]
        return [*kept[steps:], *(Tally() for _ in range(steps))]


class CountWindow:
    """The last `window_calls` calls, however long ago."""

    def __init__(self, window_calls: int) -> None:
        self.shape = f"{window_calls} calls"
        self._calls: deque[tuple[bool, bool]] = deque(maxlen=window_calls)
        self._failures = 0
        self._slow = 0
        self.good = 0  # of a full window without a fault each success replaces its like
        self.until_s = inf

    def count(self, now_s: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - ageless
        """Count one call in place of the oldest."""
        if len(self._calls) == self._calls.maxlen:
            was_failed, was_slow = self._calls[0]
            self._failures -= was_failed
            self._slow -= was_slow
        self._calls.append((failed, slow))
        self._failures += failed
        self._slow += slow

    def tally(self, now_s: float) -> Tally:  # noqa: ARG002 - ageless
        """Return what the window holds."""
        return Tally(calls=len(self._calls), failures=self._failures, slow=self._slow)

    def dilutes(self) -> bool:
        """Tell whether it is full of good calls, so that one more changes nothing."""
        full = len(self._calls) == self._calls.maxlen
        return full and not (self._failures or self._slow)

    def rows(self, now_s: float) -> list[list[int]]:  # noqa: ARG002 - ageless
        """Return for each call whether it failed and whether it was slow."""
        return [[1, int(failed), int(slow)] for failed, slow in self._calls]

    def refill(self, rows: Sequence[Sequence[int]], elapsed_s: float) -> None:  # noqa: ARG002
        """Take calls over, the last as the newest."""
        most = self._calls.maxlen
        if (most is not None and len(rows) > most) or any(calls != 1 for calls, _, _ in rows):
            refuse("window", rows, f"rows of one call each for {self.shape}, and no more of them")
        for _, failed, slow in rows:
            self.count(0.0, failed=bool(failed), slow=bool(slow))
