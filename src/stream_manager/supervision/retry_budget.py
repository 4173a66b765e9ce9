"""A retry budget that threads and tasks share: one for each resource that all of them call."""

import threading

from stream_manager.clock import Clock, SystemClock
from stream_manager.recovery.checks import require_kind
from stream_manager.recovery.retry_budget import RetryAllowance, RetryWindow


class RetryBudget:
    """Lets the retries of everybody who calls `name` be a share of the requests, plus a floor.

    share: of the first attempts of the last `within_s` seconds; floor_per_s: retries per second
    that are granted however little is asked. Spent, it refuses at once: nothing ever waits for it.
    Raises ValueError, naming the field and its value, for an allowance that can't be.
    """

    def __init__(
        self,
        name: str,
        *,
        share: float = 0.2,
        floor_per_s: float = 10.0,
        within_s: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        require_kind(str, name=name)
        self.name = name
        self.allowance = RetryAllowance(share=share, floor_per_s=floor_per_s, within_s=within_s)
        self._window = RetryWindow(self.allowance)
        self._now_s = (clock or SystemClock()).monotonic_s
        # Re-entrant: a finaliser may run at any allocation, and make a call that is retried.
        self._lock = threading.RLock()

    def request(self) -> None:
        """Count a first attempt, which is what retries are a share of."""
        with self._lock:
            self._window.request(self._now_s())

    def take(self) -> bool:
        """Take one retry out of the budget; False, and nothing taken, where it is spent."""
        with self._lock:
            return self._window.take(self._now_s())

    def __str__(self) -> str:
        allowed = self.allowance
        return (
            f"retry budget {self.name!r} ({allowed.share:.0%} of requests and "
            f"{allowed.floor_per_s:g}/s over {allowed.within_s:g} s)"
        )
