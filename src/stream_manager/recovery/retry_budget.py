"""How many retries a resource bears: a share of its requests, and a floor for quiet times."""

from dataclasses import dataclass
from math import inf

from stream_manager.recovery.checks import require_durations, require_numbers

SLICES = 10
KEPT = SLICES + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAllowance:
    """At most `share` of the requests, plus `floor_per_s` each second, over `within_s` seconds.

    Raises ValueError for numbers that no allowance can have.
    """

    share: float = 0.2
    floor_per_s: float = 10.0
    within_s: float = 10.0

    def __post_init__(self) -> None:
        require_numbers("0 to 1", lambda it: 0 <= it <= 1, share=self.share)
        require_numbers(
            "a rate of at least 0", lambda it: 0 <= it < inf, floor_per_s=self.floor_per_s
        )
        require_durations(within_s=self.within_s)
        if self.floor_per_s * self.within_s < 1 and self.share == 0:
            raise ValueError(
                f"floor_per_s is {self.floor_per_s} and share is 0: "
                f"not one retry is allowed in {self.within_s:g} s"
            )

    def most(self, requests: int) -> float:
        """Return how many retries go with so many requests of the last `within_s`."""
        return self.share * requests + self.floor_per_s * self.within_s


class RetryWindow:
    """The requests and retries of the last seconds, counted in slices of time. Not thread-safe.

    The newest slice is still filling, so ten slices are at most `within_s` and eleven at least.
    Requests are summed over ten and retries over eleven: whenever a retry is granted, the retries
    of the `within_s` before it, itself included, are within the allowance, exactly.
    """

    __slots__ = ("_allowance", "_newest", "_requests", "_retries", "_slice_s")

    def __init__(self, allowance: RetryAllowance) -> None:
        self._allowance = allowance
        self._slice_s = allowance.within_s / SLICES
        self._requests = [0] * KEPT
        self._retries = [0] * KEPT
        self._newest = 0  # the number of the newest slice since the clock began

    def request(self, now_s: float) -> None:
        """Count a call's first attempt."""
        self._requests[self._slot(now_s)] += 1

    def take(self, now_s: float) -> bool:
        """Count one retry and return True; where the allowance is spent, change nothing."""
        slot = self._slot(now_s)
        requests = sum(self._requests) - self._requests[(slot + 1) % KEPT]
        if sum(self._retries) + 1 > self._allowance.most(requests):
            return False
        self._retries[slot] += 1
        return True

    def _slot(self, now_s: float) -> int:
        """Return where the newest slice is counted, after emptying all whose time is over."""
        number = int(now_s // self._slice_s)
        if number > self._newest:
            for begun in range(max(self._newest + 1, number - SLICES), number + 1):
                self._requests[begun % KEPT] = 0
                self._retries[begun % KEPT] = 0
            self._newest = number
        return self._newest % KEPT
