"""Outages: from the last good media to the first media of the run that verified."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One outage; instants are monotonic seconds, `ended_s` is None while it lasts.

    began_at: when it began by the wall clock of that moment; it names the outage from then on.
    """

    began_s: float
    began_at: datetime
    cause: str
    code: str
    attempts: int = 0
    ended_s: float | None = None
    repaired: bool = False


class Outages:
    """One stream's outages and what they add up to.

    lost_s: seconds of all outages that ended before this process began to watch; repairs and
    repaired_s: how many of them ended with verified media, and their seconds.
    """

    def __init__(self, *, lost_s: float = 0.0, repairs: int = 0, repaired_s: float = 0.0) -> None:
        self.lost_s = lost_s
        self.repairs = repairs
        self.repaired_s = repaired_s
        self.current: Outage | None = None

    def begin(self, outage: Outage) -> None:
        """Open an outage; one that is open already goes on, with the cause that it has."""
        if self.current is None:
            self.current = outage

    def explain(self, cause: str, code: str) -> None:
        """Give the open outage a cause that tells more than the one it began with."""
        if self.current is not None:
            self.current = replace(self.current, cause=cause, code=code)

    def attempted(self) -> None:
        """Count one attempt to end the outage."""
        if self.current is not None:
            self.current = replace(self.current, attempts=self.current.attempts + 1)

    def end(self, at_s: float, *, repaired: bool) -> Outage | None:
        """Close the open outage at `at_s` and return it.

        repaired: verified media ended it, from `at_s` on; else nobody wants the stream any more.
        """
        if self.current is None:
            return None
        ended_s = max(at_s, self.current.began_s)
        ended = replace(self.current, ended_s=ended_s, repaired=repaired)
        self.current = None
        self.lost_s += ended_s - ended.began_s
        if repaired:
            self.repairs += 1
            self.repaired_s += ended_s - ended.began_s
        return ended

    def total_s(self, now_s: float) -> float:
        """Return the seconds lost so far, an outage that still lasts included."""
        lasting_s = now_s - self.current.began_s if self.current else 0.0
        return self.lost_s + max(lasting_s, 0.0)

    @property
    def mttr_s(self) -> float | None:
        """The mean time to repair over the outages that were repaired; None before the first."""
        return self.repaired_s / self.repairs if self.repairs else None

    def availability(self, now_s: float, observed_s: float) -> float | None:
        """Return the share of `observed_s` in which media flowed, 0 to 1; None for no time."""
        if observed_s <= 0:
            return None
        return min(max(1.0 - self.total_s(now_s) / observed_s, 0.0), 1.0)
