"""In a domain's queue: parked by its incident with what it was charged given back, and let go."""

from typing import Any

from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Admitted, Decision, Event, Held, Phase, Record
from stream_manager.recovery.steps import Context, Evidence, back_off, begin, decided


def held(record: Record, event: Event, context: Context) -> Decision | None:
    """Its domain is down: wait in the queue, but let an attempt that is under way go on."""
    assert isinstance(event, Held)
    if record.afterwards is Phase.FAILED and record.phase is Phase.TEARING_DOWN:
        return None
    changes = _given_back(record, event)
    match record.phase:
        case Phase.BACKING_OFF:
            changes |= {"phase": Phase.PARKED, "due_s": None, "resume_s": record.due_s}
            changes["held_by"] = event.by
        case Phase.TEARING_DOWN | Phase.PARKED:
            changes["held_by"] = event.by
    if not changes:
        return None
    after = replace(record, **changes)
    saw: Evidence = {"domain": event.by, "given_back": record.attempts - after.attempts}
    return decided(event, "held", record, after, context, saw=saw)


def _given_back(record: Record, event: Held) -> dict[str, Any]:
    """Return the counters without the failures that the domain answers for."""
    if event.failures == 0:
        return {}
    since_s = record.failing_since_s
    return {
        "attempts": max(0, record.attempts - event.failures),
        "excused": max(0, min(record.excused, record.attempts - event.failures)),
        "charged": tuple(at_s for at_s in record.charged if at_s < event.since_s),
        "failing_since_s": None if since_s is None or since_s >= event.since_s else since_s,
        "same_faults": max(0, record.same_faults - event.failures),
    }


def admitted(record: Record, event: Event, context: Context) -> Decision | None:
    """Its domain lets it go: start, or see out the rest of a wait of its own."""
    assert isinstance(event, Admitted)
    if event.at_once or record.resume_s is None or record.resume_s <= context.now_s:
        return begin(record, event, context, before=record, rule="admitted")
    return back_off(record, event, context, rule="admitted", until_s=record.resume_s)
