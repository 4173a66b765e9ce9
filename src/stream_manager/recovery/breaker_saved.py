"""What of a breaker outlives its process, so that a restart forgives nothing.

Everything is a span or a count, for no monotonic instant means anything in another life.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from stream_manager.recovery.breaker import Breaker
from stream_manager.recovery.breaker_states import BreakerState, Probe
from stream_manager.recovery.checks import (
    given,
    member,
    refuse,
    require_counts,
    require_kind,
    require_spans,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBreaker:
    """A breaker at rest. Spans are seconds from the moment of saving.

    probe_leases_s: what was left to the probes that were out; nobody will settle them.
    window: rows of calls, failures and slow calls, the oldest first; `shape` tells which window.
    Raises ValueError, naming the field and its value, for what no breaker can have.
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
        require_kind(BreakerState, state=self.state)
        require_counts(
            0,
            generation=self.generation,
            reopens=self.reopens,
            consecutive=self.consecutive,
            probe_successes=self.probe_successes,
            rejected=self.rejected,
            late_results=self.late_results,
        )
        require_spans(open_for_s=self.open_for_s, **given(ramped_for_s=self.ramped_for_s))
        require_kind(str, shape=self.shape, **given(last_cause=self.last_cause))
        require_kind(Sequence, probe_leases_s=self.probe_leases_s, window=self.window)
        for lease_s in self.probe_leases_s:
            require_spans(probe_leases_s=lease_s)
        if self.probe_leases_s and self.state is not BreakerState.HALF_OPEN:
            refuse("probe_leases_s", self.probe_leases_s, f"none while {self.state.value}")
        for row in self.window:
            _require_row(row)


def read(values: Mapping[str, Any]) -> SavedBreaker:
    """Return what was saved from its plain values. Raises ValueError for what can't have been."""
    try:
        return SavedBreaker(**{**values, "state": member(BreakerState, "state", values["state"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a dump of a circuit breaker: {error}") from error


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

    Permits that are out become late. A window of another shape begins empty, an open time ends at
    the latest after the policy's cap, and a lease after the policy's.
    Raises ValueError, and nothing has changed, for a window that this breaker can't have had.
    """
    window = breaker.new_window(now_s)
    if saved.shape == window.shape:
        window.refill(saved.window, elapsed_s)
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
            deadline_s=now_s + min(lease_s, breaker.policy.probe_lease_s) - elapsed_s,
        )
        for number, lease_s in enumerate(sorted(saved.probe_leases_s))
    }
    breaker.window = window
    ramped_for_s = inf if saved.ramped_for_s is None else saved.ramped_for_s + elapsed_s
    breaker.closed_at_s = now_s - ramped_for_s
    if saved.state is BreakerState.CLOSED:
        breaker.find_carefree()
        breaker.free_pass = breaker.generation if saved.ramped_for_s is None else 0


def _require_row(row: object) -> None:
    require_kind(Sequence, window=row)
    assert isinstance(row, Sequence)
    for number in row:
        require_counts(0, window=number)
    if len(row) != 3 or max(row) > row[0]:
        refuse("window", row, "rows of calls, and how many of them failed and were slow")
