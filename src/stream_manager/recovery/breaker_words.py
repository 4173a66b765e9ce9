"""What a breaker did, as a sentence for people."""

from collections.abc import Callable, Mapping

from stream_manager.recovery.breaker_states import BreakerState, Transition, Trigger
from stream_manager.recovery.spans import span

_DONE: Mapping[BreakerState, str] = {
    BreakerState.CLOSED: "closed",
    BreakerState.OPEN: "opened",
    BreakerState.HALF_OPEN: "became half-open",
    BreakerState.FORCED_OPEN: "was forced open",
}
_WHY: Mapping[Trigger, str] = {
    Trigger.CONSECUTIVE: "{consecutive} calls in a row failed, and {limit} open it",
    Trigger.FAILURE_RATE: "{failures} of {calls} calls failed, and {limit:.0%} open it",
    Trigger.SLOW_RATE: "{slow} of {calls} calls were slow, and {limit:.0%} open it",
    Trigger.OPEN_TIME_OVER: "its open time is over, and a call came",
    Trigger.PROBE_FAILED: "a probe failed",
    Trigger.PROBE_SLOW: "a probe took {took_s:.3g} s, and {limit:g} s are slow",
    Trigger.PROBE_LOST: "a probe did not come back within {probe_lease_s:g} s",
    Trigger.PROBES_SUCCEEDED: "probes succeeded, {successes} in all",
    Trigger.FORCED_OPEN: "a person wants it so, until a reset",
    Trigger.RESET: "a person reset it",
}


def transition_in_words(transition: Transition, *, wall: Callable[[float], str]) -> str:
    """Return a sentence: what it did, why with which numbers, and what comes next and when.

    wall: renders a monotonic instant for people.
    """
    done, why = _DONE[transition.after], _WHY[transition.trigger].format(**transition.saw)
    would = "" if transition.enforced else " (a dry run: no call is rejected)"
    sentence = f"Circuit breaker {transition.name} {done}{would}: {why}"
    if transition.retry_at_s is not None:
        wait = span(transition.retry_at_s - transition.at_s)
        sentence += f". It is tried again at {wall(transition.retry_at_s)}, in {wait}"
        if transition.cause is not None:
            sentence += f". The last failure was {transition.cause}"
    return f"{sentence}."
