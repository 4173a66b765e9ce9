"""A decision as a journal entry: what the recovery core decided, in values that last.

The steps of a domain's incident are entries too: its name stands where a stream's would, and the
incident's number, state and next probe where a component's epoch, phase and next attempt would.
"""

from collections.abc import Callable

from stream_manager.clock import Clock, wall_of
from stream_manager.recovery import IncidentState, IncidentStep, Phase, Step, describe
from stream_manager.store import Entry


def entry(decision: Step, *, clock: Clock, local: Callable[[float], str]) -> Entry:
    """Return the entry of one decision; `local` renders an instant for the sentence."""
    if isinstance(decision, IncidentStep):
        return _of_incident(decision, clock=clock, local=local)
    after = decision.after
    sighting = after.last if after.last is not decision.before.last else None
    next_s = after.resume_s if after.phase is Phase.TEARING_DOWN else None
    if after.held_by is not None:
        next_s = None  # its domain plans that
    elif after.phase in {Phase.BACKING_OFF, Phase.FAILED}:
        next_s = after.due_s
    return Entry(
        seq=decision.seq,
        because=decision.because,
        at=wall_of(decision.at_s, clock),
        stream=after.spec.id.partition("/")[0],
        component=after.spec.id,
        epoch=after.epoch,
        event=type(decision.event).__name__.lower(),
        rule=decision.rule,
        cause=sighting.rule.cause.value if sighting else None,
        fault_class=sighting.rule.fault_class.value if sighting else None,
        code=sighting.fault.code if sighting else None,
        message=describe(decision, wall=local),
        before=decision.before.phase.value,
        after=after.phase.value,
        attempt=after.attempts,
        next_attempt_at=None if next_s is None else wall_of(next_s, clock),
        saw={**decision.saw, **({"text": sighting.fault.text} if sighting else {})},
        actions=tuple(type(action).__name__.lower() for action in decision.actions),
    )


def _of_incident(step: IncidentStep, *, clock: Clock, local: Callable[[float], str]) -> Entry:
    before, after = step.before, step.after
    next_s = None if after.state is IncidentState.ENDED else after.next_probe_s
    return Entry(
        seq=step.seq,
        because=step.because,
        at=wall_of(step.at_s, clock),
        stream=after.domain,
        component=after.domain,
        epoch=after.number,
        event=type(step.event).__name__.lower(),
        rule=step.rule,
        cause=after.cause.value,
        fault_class=after.root.rule.fault_class.value,
        code=after.root.fault.code,
        message=describe(step, wall=local),
        before=IncidentState.ENDED.value if before is None else before.state.value,
        after=after.state.value,
        attempt=after.probes,
        next_attempt_at=None if next_s is None else wall_of(next_s, clock),
        saw=dict(step.saw),
        actions=(),
    )
