"""A decision as a journal entry: what the recovery core decided, in values that last."""

from collections.abc import Callable

from stream_manager.clock import Clock, wall_of
from stream_manager.recovery import Decision, Phase, describe
from stream_manager.store import Entry


def entry(decision: Decision, *, clock: Clock, local: Callable[[float], str]) -> Entry:
    """Return the entry of one decision; `local` renders an instant for the sentence."""
    after = decision.after
    sighting = after.last if after.last is not decision.before.last else None
    next_s = after.resume_s if after.phase is Phase.TEARING_DOWN else None
    if after.phase in {Phase.BACKING_OFF, Phase.FAILED}:
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
