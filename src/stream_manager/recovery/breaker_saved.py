"""What of a breaker outlives its process, so that a restart forgives nothing.

Everything is a span or a count, for no monotonic instant means anything in another life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from stream_manager.recovery.breaker import Breaker
from stream_manager.recovery.breaker_states import BreakerState, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBreaker:
    """A breaker at rest. Spans are seconds from the moment of saving.

    probe_leases_s: what was left to the probes that were out; nobody will settle them.
    window: rows of calls, failures and slow calls, the oldest first; `shape` tells which window.
    Raises ValueError for numbers that no breaker can have.
    """

    state: BreakerState
    generation: int
    reopens: int
    open_for_s: float
    consecutive: int
    probe_successes: int
    probe_leases_s: Sequence[float]
    ramped_for_s: float | None
    last_cause: str | None
    rejected: int
    late_results: int
    shape: str
    window: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        numbers = {
            "generation": (self.generation,),
            "reopens": (self.reopens,),
            "open_for_s": (self.open_for_s,),
            "consecutive": (self.consecutive,),
            "probe_successes": (self.probe_successes,),
            "probe_leases_s": self.probe_leases_s,
            "ramped_for_s": () if self.ramped_for_s is None else (self.ramped_for_s,),
            "rejected": (self.rejected,),
            "late_results": (self.late_results,),
            "window": tuple(number for row in self.window for number in row),
        }
        for name, values in numbers.items():
            if not all(isfinite(value) and value >= 0 for value in values):
                raise ValueError(f"{name} is {getattr(self, name)}: expected no less than 0")
        if any(len(row) != 3 for row in self.window):
            raise ValueError(f"window is {self.window}: expected rows of three")


def save(breaker: Breaker, now_s: float) -> SavedBreaker:
    """Return what of `breaker` is to survive; it changes nothing."""
    opened = breaker.state is BreakerState.OPEN
    ramping = breaker.state is BreakerState.CLOSED and not breaker.free_pass
    return SavedBreaker(
        state=breaker.state,
        generation=breaker.generation,
        reopens=breaker.reopens,
        open_for_s=max(0.0, breaker.shut_until_s - now_s) if opened else 0.0,
        consecutive=breaker.consecutive,
        probe_successes=breaker.probe_successes,
        probe_leases_s=tuple(
            max(0.0, probe.deadline_s - now_s) for probe in breaker.probes.values()
        ),
        ramped_for_s=max(0.0, now_s - breaker.closed_at_s) if ramping else None,
        last_cause=breaker.last_cause,
        rejected=breaker.rejected,
        late_results=breaker.late_results,
        shape=breaker.window.shape,
        window=breaker.window.rows(now_s),
    )


def restore(breaker: Breaker, saved: SavedBreaker, *, now_s: float, elapsed_s: float) -> None:
    """Put `breaker` where `saved` stood, `elapsed_s` later. Nothing is told: nothing happened.

    Permits that are out become late. A window of another shape begins empty, and an open time
    ends at the latest after the policy's cap.
    """
    breaker.generation = max(breaker.generation, saved.generation) + 1
    breaker.free_pass = breaker.carefree = 0
    breaker.state = saved.state
    breaker.reopens = saved.reopens
    breaker.consecutive = saved.consecutive
    breaker.probe_successes = saved.probe_successes
    breaker.last_cause = saved.last_cause
    breaker.rejected = saved.rejected
    breaker.late_results = saved.late_results
    breaker.shut_until_s = -inf
    if saved.state is BreakerState.FORCED_OPEN:
        breaker.shut_until_s = inf
    elif saved.state is BreakerState.OPEN:
        open_for_s = min(saved.open_for_s, breaker.policy.open_cap_s)
        breaker.shut_until_s = now_s + max(0.0, open_for_s - elapsed_s)
    breaker.probes = {
        -number: Probe(
            generation=breaker.generation,
            id=-number,
            deadline_s=now_s + max(0.0, lease_s - elapsed_s),
        )
        for number, lease_s in enumerate(saved.probe_leases_s)
    }
    breaker.window = breaker.new_window(now_s)
    if saved.shape == breaker.window.shape:
        breaker.window.refill(saved.window, elapsed_s)
    ramped_for_s = inf if saved.ramped_for_s is None else saved.ramped_for_s + elapsed_s
    breaker.closed_at_s = now_s - ramped_for_s
    if saved.state is BreakerState.CLOSED:
        breaker.find_carefree()
        breaker.free_pass = breaker.generation if saved.ramped_for_s is None else 0
