"""How long to wait before attempt n: exponential, capped, and only then jittered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from stream_manager.recovery.checks import refuse, require_durations, require_numbers

Jitter = Literal["none", "full", "equal", "decorrelated"]

# Past this exponent the cap has long been reached; an unclamped one overflows a float.
MAX_EXPONENT = 60
MAX_FACTOR = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that grow by `factor` from `base_s` to `cap_s` seconds.

    Jitter comes after the cap: before it, every saturated client would wait exactly the cap, and
    they would all come back together. "full" draws from U(0, ceiling), for calls; "equal" from
    ceiling/2 + U(0, ceiling/2), for restarts; "decorrelated" from U(base, min(cap, 3 x previous)).
    Raises ValueError for values that no schedule can have.
    """

    base_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    jitter: Jitter = "equal"

    def __post_init__(self) -> None:
        require_durations(base_s=self.base_s, cap_s=self.cap_s)
        require_numbers(
            f"1 to {MAX_FACTOR:g}", lambda it: 1 <= it <= MAX_FACTOR, factor=self.factor
        )
        if self.cap_s < self.base_s:
            refuse("cap_s", self.cap_s, f"at least base_s ({self.base_s})")
        if self.jitter not in get_args(Jitter):
            refuse("jitter", self.jitter, f"one of {get_args(Jitter)}")

    def ceiling_s(self, n: int) -> float:
        """Return the delay before jitter for the nth retry, counted from 0."""
        return min(self.cap_s, self.base_s * self.factor ** min(n, MAX_EXPONENT))

    def shortest_s(self, n: int) -> float:
        """Return the least that `delay_s` can draw for the nth retry."""
        match self.jitter:
            case "none":
                return self.ceiling_s(n)
            case "full":
                return 0.0
            case "equal":
                return self.ceiling_s(n) / 2
            case _:  # decorrelated
                return self.base_s

    def shortest_sum_s(self, first: int, end: int) -> float:
        """Return the least that the retries from `first` to before `end` can wait in sum."""
        steady = max(first, MAX_EXPONENT)
        growing_s = sum(self.shortest_s(n) for n in range(first, min(end, steady)))
        return growing_s + max(0, end - steady) * self.shortest_s(steady)

    def delay_s(self, n: int, chance: Callable[[], float], previous_s: float = 0.0) -> float:
        """Draw the delay of the nth retry; `chance` draws from [0, 1), `previous_s` was the last.

        Only decorrelated jitter looks at `previous_s`; it starts from the base.
        """
        ceiling_s = self.ceiling_s(n)
        match self.jitter:
            case "none":
                return ceiling_s
            case "full":
                return chance() * ceiling_s
            case "equal":
                return ceiling_s / 2 + chance() * ceiling_s / 2
            case _:  # decorrelated
                top_s = min(self.cap_s, 3 * max(previous_s, self.base_s))
                return self.base_s + chance() * (top_s - self.base_s)
