"""What a simulation is judged by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one policy came to.

    attempts: starts since the first trouble began, by slot of 100 ms of the clock; no slot with
        none. recoveries_s: how long after the end of its trouble a component was proved, each time;
        inf for one that was not, to the end. verify_for_s: how long media flows until it is proof.
    false_give_ups: components that were FAILED by a trouble that passes. decisions: the engine's.
    """

    name: str
    attempts: Mapping[int, int]
    recoveries_s: Sequence[float]
    verify_for_s: float
    false_give_ups: int
    decisions: int

    @property
    def attempts_total(self) -> int:
        """How many starts there were."""
        return sum(self.attempts.values())

    @property
    def peak(self) -> int:
        """The most starts in one slot."""
        return max(self.attempts.values(), default=0)

    @property
    def unrecovered(self) -> int:
        """How many components could have recovered and had not, at the end."""
        return sum(math.isinf(it) for it in self.recoveries_s)

    def recovery_s(self, share: float) -> float | None:
        """Return how long at least `share` (above 0, to 1) took; inf: some never did; None: no one.

        A percentile is one of the samples: the smallest that at least `share` do not exceed.
        """
        if not self.recoveries_s:
            return None
        return sorted(self.recoveries_s)[math.ceil(share * len(self.recoveries_s)) - 1]

    def media_s(self, share: float) -> float | None:
        """Return the same to the first media of that run, where its outage counts as over."""
        proved_s = self.recovery_s(share)
        return None if proved_s is None else max(0.0, proved_s - self.verify_for_s)
