"""The words of a circuit breaker: states, outcomes, triggers, permits, and the one table.

`TABLE` holds every pair of state and trigger; None is a pair that can't be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class BreakerState(Enum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


class Outcome(Enum):
    """How a guarded call ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"  # an error that says nothing about the guarded thing
    CANCELLED = "cancelled"  # the caller gave up


class Trigger(Enum):
    """Why a breaker changes its state."""

    CONSECUTIVE = "consecutive"  # so many failures in a row
    FAILURE_RATE = "failure_rate"
    SLOW_RATE = "slow_rate"
    OPEN_TIME_OVER = "open_time_over"  # seen by the first call after it
    PROBE_FAILED = "probe_failed"
    PROBE_SLOW = "probe_slow"
    PROBE_LOST = "probe_lost"  # its lease ran out
    PROBES_SUCCEEDED = "probes_succeeded"
    FORCED_OPEN = "forced_open"
    RESET = "reset"


_CLOSED, _OPEN, _HALF, _FORCED = BreakerState
# fmt: off
_ROWS: Mapping[Trigger, tuple[BreakerState | None, ...]] = {
    #                          CLOSED   OPEN     HALF_OPEN FORCED_OPEN
    Trigger.CONSECUTIVE:      (_OPEN,   None,    None,     None),
    Trigger.FAILURE_RATE:     (_OPEN,   None,    None,     None),
    Trigger.SLOW_RATE:        (_OPEN,   None,    None,     None),
    Trigger.OPEN_TIME_OVER:   (None,    _HALF,   None,     None),
    Trigger.PROBE_FAILED:     (None,    None,    _OPEN,    None),
    Trigger.PROBE_SLOW:       (None,    None,    _OPEN,    None),
    Trigger.PROBE_LOST:       (None,    None,    _OPEN,    None),
    Trigger.PROBES_SUCCEEDED: (None,    None,    _CLOSED,  None),
    Trigger.FORCED_OPEN:      (_FORCED, _FORCED, _FORCED,  _FORCED),
    Trigger.RESET:            (_CLOSED, _CLOSED, _CLOSED,  _CLOSED),
}
# fmt: on
TABLE: Mapping[tuple[BreakerState, Trigger], BreakerState | None] = {
    (state, trigger): after
    for trigger, row in _ROWS.items()
    for state, after in zip(BreakerState, row, strict=True)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The permit of one call of a half-open breaker."""

    generation: int
    id: int
    deadline_s: float


# While closed the generation says all that a permit has to.
Permit = int | Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a breaker, with everything needed to explain it.

    at_s: monotonic. saw: the numbers that the trigger looked at, limits included.
    retry_at_s: when the next call is let through; None unless it opened.
    cause: the last failure, as text; None before any. enforced: False in a dry run.
    """

    name: str
    generation: int
    trigger: Trigger
    before: BreakerState
    after: BreakerState
    at_s: float
    saw: Mapping[str, float]
    retry_at_s: float | None
    cause: str | None
    enforced: bool


def diagram() -> str:
    """Draw `TABLE` for Mermaid; what leaves the state as it is, is left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, trigger), after in TABLE.items():
        if after is not None and after is not before:
            arrows.setdefault((before.value, after.value), []).append(trigger.value)
    lines = [f"    {a} --> {b}: {', '.join(triggers)}" for (a, b), triggers in arrows.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {BreakerState.CLOSED.value}", *lines])
