"""When a circuit breaker opens, how long it stays open, and how it lets calls in again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypedDict

from stream_manager.recovery.backoff import MAX_EXPONENT, Backoff
from stream_manager.recovery.checks import (
    given,
    refuse,
    require_counts,
    require_durations,
    require_kind,
    require_shares,
)

CONSECUTIVE_FAILURES = 5
MIN_CALLS = 10
RATE = 0.5
WINDOW_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Slow start after closing: at most `first_calls` in the first step, doubling, to `cap_calls`.

    A step lasts `step_s`, the whole ramp `lasts_s`; then everything is admitted.
    Raises ValueError for values that no ramp can have.
    """

    first_calls: int = 20
    cap_calls: int = 200
    step_s: float = 0.1
    lasts_s: float = 1.0

    def __post_init__(self) -> None:
        require_counts(1, first_calls=self.first_calls, cap_calls=self.cap_calls)
        require_durations(step_s=self.step_s, lasts_s=self.lasts_s)
        if self.cap_calls < self.first_calls:
            refuse("cap_calls", self.cap_calls, f"at least first_calls ({self.first_calls})")
        if self.lasts_s < self.step_s:
            refuse("lasts_s", self.lasts_s, f"at least step_s ({self.step_s})")

    def allowed(self, step: int) -> int:
        """Return how many calls the step may have, counted from 0."""
        return min(self.cap_calls, self.first_calls << min(step, MAX_EXPONENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """The rules of one breaker; the first of its limits that is reached opens it. None: not given.

    consecutive_failures: so many in a row; 5 unless `failure_rate` or `min_calls` is given.
    failure_rate, slow_rate: shares of the window's calls, above 0 to 1, from `min_calls` (10) on;
        0.5 when only `min_calls`, or only `slow_call_s`, is given.
    slow_call_s: a call that takes so long is slow, whatever it returns.
    window_s, window_calls: what the rates look at; one of them. 30 s unless given.
    open_s, open_cap_s: the open time doubles with each reopening, to the cap, half of it by chance.
    max_concurrent: probes at a time while half-open; successes_to_close: how many must succeed.
    probe_lease_s: a probe that has not come back by then counts as failed.
    ramp: how calls are let in after closing; None: all at once.
    enforce: False admits every call, and only counts and tells what would have been done.

    Raises ValueError, naming the field and its value, for what no breaker can do.
    """

    consecutive_failures: int | None = None
    failure_rate: float | None = None
    min_calls: int | None = None
    slow_call_s: float | None = None
    slow_rate: float | None = None
    window_s: float | None = None
    window_calls: int | None = None
    open_s: float = 5.0
    open_cap_s: float = 300.0
    max_concurrent: int = 1
    successes_to_close: int = 2
    probe_lease_s: float = 30.0
    ramp: Ramp | None = field(default_factory=Ramp)
    enforce: bool = True

    def __post_init__(self) -> None:
        require_counts(
            1,
            max_concurrent=self.max_concurrent,
            successes_to_close=self.successes_to_close,
            **given(
                consecutive_failures=self.consecutive_failures,
                min_calls=self.min_calls,
                window_calls=self.window_calls,
            ),
        )
        require_durations(
            open_s=self.open_s,
            open_cap_s=self.open_cap_s,
            probe_lease_s=self.probe_lease_s,
            **given(slow_call_s=self.slow_call_s, window_s=self.window_s),
        )
        require_shares(**given(failure_rate=self.failure_rate, slow_rate=self.slow_rate))
        require_kind(Ramp, **given(ramp=self.ramp))
        require_kind(bool, enforce=self.enforce)
        if self.open_cap_s < self.open_s:
            refuse("open_cap_s", self.open_cap_s, f"at least open_s ({self.open_s})")
        if self.slow_rate is not None and self.slow_call_s is None:
            refuse("slow_rate", self.slow_rate, "slow_call_s beside it, which says what slow is")
        if self.window_s is not None and self.window_calls is not None:
            allowed = f"none beside window_s ({self.window_s}); a window is of calls or of time"
            refuse("window_calls", self.window_calls, allowed)

    @property
    def consecutive_limit(self) -> int | None:
        """The failures in a row that open; None where only rates do."""
        if self.consecutive_failures is None and self.failure_limit is None:
            return CONSECUTIVE_FAILURES
        return self.consecutive_failures

    @property
    def failure_limit(self) -> float | None:
        """The share of failures that opens; None where no share does."""
        return RATE if self.failure_rate is None and self.min_calls else self.failure_rate

    @property
    def slow_limit(self) -> float | None:
        """The share of slow calls that opens; None where no call is slow."""
        return RATE if self.slow_rate is None and self.slow_call_s else self.slow_rate

    @property
    def minimum(self) -> int:
        """The calls from which on a share says something; never more than the window holds."""
        minimum = self.min_calls or MIN_CALLS
        return min(minimum, self.window_calls) if self.window_calls else minimum

    @property
    def open_time(self) -> Backoff:
        """The open time by number of reopenings since it was last closed."""
        return Backoff(base_s=self.open_s, cap_s=self.open_cap_s, jitter="equal")

    def oddities(self) -> Iterator[str]:
        """Yield what is possible but hardly meant, one sentence each."""
        if self.window_calls and self.min_calls and self.min_calls > self.window_calls:
            yield (
                f"min_calls is {self.min_calls}, more than window_calls ({self.window_calls}) "
                f"can hold: {self.window_calls} is taken"
            )
        in_a_row, held = self.consecutive_failures, self.window_calls
        if in_a_row and held and in_a_row > held and self.failure_limit is not None:
            yield (
                f"consecutive_failures is {in_a_row}, more than window_calls ({held}) can hold: "
                "the failure rate always opens first"
            )
        if self.failure_limit is None and self.slow_limit is None:
            for name in ("window_s", "window_calls"):
                if (value := getattr(self, name)) is not None:
                    yield (
                        f"{name} is {value}, but neither failure_rate, min_calls nor slow_call_s "
                        f"is given: {self.consecutive_limit} failures in a row open, in any time"
                    )
        if self.slow_call_s is not None and self.slow_call_s >= self.probe_lease_s:
            yield (
                f"slow_call_s is {self.slow_call_s}, not below probe_lease_s "
                f"({self.probe_lease_s}): a probe fails before it is slow"
            )


class BreakerRules(TypedDict, total=False):
    """The fields of a `BreakerPolicy`, for those who take them as keywords."""

    consecutive_failures: int | None
    failure_rate: float | None
    min_calls: int | None
    slow_call_s: float | None
    slow_rate: float | None
    window_s: float | None
    window_calls: int | None
    open_s: float
    open_cap_s: float
    max_concurrent: int
    successes_to_close: int
    probe_lease_s: float
    ramp: Ramp | None
    enforce: bool
