"""The way down: a fault is judged, the component torn down, and what comes after settled."""

from collections.abc import Mapping
from typing import Any

from stream_manager.recovery.classify import Rule
from stream_manager.recovery.faults import Cause, Fault, FaultClass
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    Decision,
    Escalated,
    Event,
    Failed,
    Gone,
    Phase,
    Record,
    RestartType,
    Sighting,
)
from stream_manager.recovery.steps import (
    NOTHING,
    Context,
    Evidence,
    decided,
    given_up,
    resume,
    stopping,
    taken_along,
)
from stream_manager.recovery.verdict import (
    LIMITS,
    charges_of,
    end_of,
    evidence_of,
    limit_of,
    marks_of,
    rule_of,
)

# In a dry run the rule of a limit is named so, and with the reason.
WOULD = "would-"


def failed(record: Record, event: Event, context: Context) -> Decision:
    """A fault of its own."""
    assert isinstance(event, Failed)
    rule = rule_of(record, context, event.fault)
    return _judged(record, event, context, fault=event.fault, rule=rule)


def escalated(record: Record, event: Event, context: Context) -> Decision:
    """A child's failure that the child could not heal by itself."""
    assert isinstance(event, Escalated)
    rule = Rule(name="escalated", cause=event.cause, fault_class=FaultClass.RECOVERABLE)
    seen: Evidence = {"child": event.child}
    return _judged(record, event, context, fault=event.fault, rule=rule, seen=seen)


def finished(record: Record, event: Event, context: Context) -> Decision:
    """It has ended by itself: a fault of what should always run, the aim of anything else."""
    if record.spec.restart is RestartType.PERMANENT:
        fault = Fault(origin="component", code="finished", text="it ended, and should go on")
        rule = rule_of(record, context, fault)
        return _judged(record, event, context, fault=fault, rule=rule)
    marks = {"wanted": False, "finished": True, "probing": False}
    after, stop = stopping(record, context, Phase.STOPPING, afterwards=Phase.STOPPED, marks=marks)
    return decided(event, "finished", record, after, context, actions=stop)


def overdue_start(record: Record, event: Event, context: Context) -> Decision:
    """The start deadline is over: some failures give no message at all."""
    deadline_s = record.spec.policy.start_deadline_s
    starting = record.phase is Phase.STARTING
    what = "did not start" if starting else f"brought no steady {record.spec.proof}"
    fault = Fault(origin="health", code="start-deadline", text=f"{what} within {deadline_s:g} s")
    rule, seen = rule_of(record, context, fault), {"start_deadline_s": deadline_s}
    return _judged(record, event, context, fault=fault, rule=rule, seen=seen)


def _judged(
    record: Record,
    event: Event,
    context: Context,
    *,
    fault: Fault,
    rule: Rule,
    seen: Mapping[str, float | str | None] = NOTHING,
) -> Decision:
    """Tear the component down, and settle now what comes after; `seen`: evidence of the event."""
    sighting = Sighting(fault=fault, rule=rule, at_s=context.now_s)
    domain = _spared_by(record, context, rule)
    if domain is not None:
        return _spared(record, event, context, sighting=sighting, domain=domain)
    marks = marks_of(record, sighting)
    end = end_of(record, marks, context.now_s, rule)
    saw = {**evidence_of(record, sighting), **seen, **charges_of(record, marks, rule)}
    if end is None:
        return _retried(record, marks, event, context, rule=rule, saw=saw)
    saw |= limit_of(record, context.now_s, end)
    if end in LIMITS and not record.spec.policy.enforce:
        name = f"{WOULD}{end}"
        return _retried(record, marks, event, context, rule=rule, saw=saw, name=name)
    if end == "budget-spent" and record.spec.parent is not None:
        # It waits for its parent's next run, in which its window starts anew.
        marks |= {"charged": (), "attempts": record.attempts + 1, "resume_s": None}
        tells = (_escalation(record.spec.parent, record, fault, rule.cause),)
        if record.spec.inside:
            after = replace(record, phase=Phase.PARKED, due_s=None, proven_at_s=None, **marks)
            return decided(event, end, record, after, context, saw=saw, tells=tells)
        after, stop = stopping(
            record, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF, marks=marks
        )
        return decided(event, end, record, after, context, saw=saw, actions=stop, tells=tells)
    # A probe that failed explains nothing: what once led to FAILED does.
    marks |= {"resume_s": None, "ended_by": record.ended_by or end}
    after, stop = stopping(
        record, context, Phase.TEARING_DOWN, afterwards=Phase.FAILED, marks=marks
    )
    return decided(event, end, record, after, context, saw=saw, actions=stop)


def _spared_by(record: Record, context: Context, rule: Rule) -> str | None:
    """Name the domain that a failure is put down to: its probe's, or one by its incident's cause.

    FATAL is the component's own always, and so is the end of a FAILED one's slow probe, and of what
    is never restarted.
    """
    own = record.probing or record.spec.restart is RestartType.TEMPORARY
    if own or rule.fault_class is FaultClass.FATAL:
        return None
    for incident in context.incidents:
        if incident.cause is rule.cause or incident.probe == record.spec.id:
            return incident.domain
    return None


def _spared(
    record: Record, event: Event, context: Context, *, sighting: Sighting, domain: str
) -> Decision:
    """Tear it down and leave the rest to its domain; nothing is charged."""
    marks = {
        "last": sighting,
        "resume_s": None,
        "held_by": domain,
        "restarts_total": record.restarts_total + 1,
    }
    after, stop = stopping(
        record, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF, marks=marks
    )
    saw = evidence_of(record, sighting) | {"domain": domain}
    rule = sighting.rule.name
    return decided(event, rule, record, after, context, saw=saw, actions=stop)


def _retried(
    record: Record,
    marks: Mapping[str, Any],
    event: Event,
    context: Context,
    *,
    rule: Rule,
    saw: Evidence,
    name: str | None = None,
) -> Decision:
    """Settle when the next attempt begins: at once for TRANSIENT, else by the backoff.

    name: of the decision's rule, where that is not the one that judged the fault.
    """
    delay_s = 0.0
    if rule.fault_class is not FaultClass.TRANSIENT:
        backoff = record.spec.policy.backoff
        delay_s = backoff.delay_s(record.attempts, context.chance, record.delay_s)
        saw["ceiling_s"] = backoff.ceiling_s(record.attempts)
    saw["delay_s"] = round(delay_s, 3)
    settled = {
        **marks,
        "attempts": record.attempts + 1,
        "restarts_total": record.restarts_total + 1,
        "delay_s": delay_s,
        "resume_s": context.now_s + delay_s,
    }
    after, stop = stopping(
        record, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF, marks=settled
    )
    return decided(event, name or rule.name, record, after, context, saw=saw, actions=stop)


def gone(record: Record, event: Event, context: Context) -> Decision:
    """The teardown is confirmed, or given up: what was settled at the fault comes now."""
    assert isinstance(event, Gone)
    if not event.abandoned:
        return _over(record, event, context, rule="gone")
    decision = _over(record, event, context, rule="abandoned")
    grace_s = 2 * record.spec.policy.teardown_s
    waited_s = grace_s if record.due_s is None else context.now_s - (record.due_s - grace_s)
    return replace(decision, saw={**decision.saw, "teardown_s": round(waited_s, 1)})


def _over(record: Record, event: Event, context: Context, *, rule: str) -> Decision:
    match record.afterwards:
        case Phase.STOPPED:
            after = replace(record, phase=Phase.STOPPED, due_s=None, resume_s=None)
            return decided(event, rule, record, after, context)
        case Phase.FAILED:
            after = given_up(record, context.now_s)
            every_s = None if after.due_s is None else record.spec.policy.probe_every_s
            saw = {"next_probe_s": every_s}
            return decided(event, rule, record, after, context, saw=saw)
        case _:
            return resume(record, event, context, rule=rule)


def overdue_teardown(record: Record, event: Event, context: Context) -> Decision:
    """Past twice its grace a teardown hangs: its epoch fences it off, and its parent ends it."""
    allowed: Evidence = {"teardown_s": 2 * record.spec.policy.teardown_s}
    if not record.spec.inside or record.phase is Phase.STOPPING:
        decision = _over(record, event, context, rule="abandoned")
        return replace(decision, saw={**decision.saw, **allowed})
    fault = Fault(
        origin="teardown",
        code="deadline",
        text=f"{record.spec.id} could not be torn down within "
        f"{2 * record.spec.policy.teardown_s:g} s",
    )
    assert record.spec.parent is not None
    tells = (_escalation(record.spec.parent, record, fault, Cause.HANG),)
    after = taken_along(record, context)
    return decided(event, "abandoned", record, after, context, saw=allowed, tells=tells)


def _escalation(parent: str, record: Record, fault: Fault, cause: Cause) -> Escalated:
    return Escalated(id=parent, child=record.spec.id, cause=cause, fault=fault)
