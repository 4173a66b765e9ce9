"""The way down: a fault is judged, the component torn down, and what comes after settled."""

from dataclasses import replace

from stream_manager.recovery.classify import History, Rule, classify
from stream_manager.recovery.faults import Cause, Fault, FaultClass
from stream_manager.recovery.states import (
    Decision,
    Escalated,
    Event,
    Failed,
    Gone,
    Phase,
    Record,
    Sighting,
)
from stream_manager.recovery.steps import (
    Context,
    Evidence,
    blamed_snapshot,
    decided,
    given_up,
    resume,
    stopping,
    taken_along,
)

# Five identical faults before anything ever worked: it is the configuration, not the weather.
POISON_FAULTS = 5


def failed(record: Record, event: Event, context: Context) -> Decision:
    """A fault of its own."""
    assert isinstance(event, Failed)
    rule = _rule(record, context, event.fault)
    return _judged(record, event, context, fault=event.fault, rule=rule)


def escalated(record: Record, event: Event, context: Context) -> Decision:
    """A child's failure that the child could not heal by itself."""
    assert isinstance(event, Escalated)
    rule = Rule(name="escalated", cause=event.cause, fault_class=FaultClass.RECOVERABLE)
    return _judged(record, event, context, fault=event.fault, rule=rule)


def overdue_start(record: Record, event: Event, context: Context) -> Decision:
    """The start deadline is over: some failures give no message at all."""
    deadline_s = record.spec.policy.start_deadline_s
    starting = record.phase is Phase.STARTING
    what = "did not start" if starting else f"brought no steady {record.spec.proof}"
    fault = Fault(origin="health", code="start-deadline", text=f"{what} within {deadline_s:g} s")
    return _judged(record, event, context, fault=fault, rule=_rule(record, context, fault))


def _rule(record: Record, context: Context, fault: Fault) -> Rule:
    last = record.last
    history = History(
        proven=record.proven,
        attempts=record.attempts,
        last_cause=last.rule.cause if last and record.attempts else None,
        since_last_s=context.now_s - last.at_s if last else None,
    )
    return classify(fault, history)


def _judged(
    record: Record, event: Event, context: Context, *, fault: Fault, rule: Rule
) -> Decision:
    """Tear the component down, and settle now what comes after."""
    after = _marked(record, context.now_s, fault, rule)
    saw = _evidence(record, after, fault, rule)
    end = _end(record, after, context.now_s, rule)
    if end is None:
        return _retried(record, after, event, context, rule=rule, saw=saw)
    if end == "budget-spent" and record.spec.parent is not None:
        # The parent's teardown takes this component with it; its window starts anew.
        after = replace(
            after, phase=Phase.PARKED, due_s=None, charged=(), attempts=record.attempts + 1
        )
        tells = (_escalation(record.spec.parent, record, fault, rule.cause),)
        return decided(event, end, record, after, saw=saw, tells=tells)
    after, stop = stopping(after, context, Phase.TEARING_DOWN, afterwards=Phase.FAILED)
    # A probe that failed explains nothing: what once led to FAILED does.
    after = replace(after, resume_s=None, ended_by=record.ended_by or end)
    return decided(event, end, record, after, saw=saw, actions=(stop,))


def _marked(record: Record, now_s: float, fault: Fault, rule: Rule) -> Record:
    """Return the record with the fault in its counters and windows."""
    same = record.last is not None and fault.same_as(record.last.fault)
    budget = record.spec.policy.budget
    return replace(
        blamed_snapshot(record, record, rule.cause),
        last=Sighting(fault=fault, rule=rule, at_s=now_s),
        same_faults=record.same_faults + 1 if same else 1,
        charged=budget.charge(record.charged, now_s) if rule.charged else record.charged,
        failing_since_s=now_s if record.failing_since_s is None else record.failing_since_s,
        probing=False,
        proven_at_s=None,
    )


def _evidence(record: Record, after: Record, fault: Fault, rule: Rule) -> Evidence:
    saw: Evidence = {
        "cause": rule.cause.value,
        "class": rule.fault_class.value,
        "origin": fault.origin,
        "code": fault.code,
        "status": fault.status,
        "attempt": record.attempts,
        "proven": str(record.proven).lower(),
        "same_faults": after.same_faults,
    }
    if rule.charged:
        budget = record.spec.policy.budget
        saw |= {
            "restarts": len(after.charged),
            "limit": budget.restarts,
            "within_s": budget.within_s,
        }
    return saw


def _retried(
    record: Record, after: Record, event: Event, context: Context, *, rule: Rule, saw: Evidence
) -> Decision:
    """Settle when the next attempt begins: at once for TRANSIENT, else by the backoff."""
    delay_s = 0.0
    if rule.fault_class is not FaultClass.TRANSIENT:
        backoff = record.spec.policy.backoff
        delay_s = backoff.delay_s(record.attempts, context.chance, record.delay_s)
        saw["ceiling_s"] = backoff.ceiling_s(record.attempts)
    saw["delay_s"] = round(delay_s, 3)
    after, stop = stopping(after, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF)
    after = replace(
        after,
        attempts=record.attempts + 1,
        restarts_total=record.restarts_total + 1,
        delay_s=delay_s,
        resume_s=context.now_s + delay_s,
    )
    return decided(event, rule.name, record, after, saw=saw, actions=(stop,))


def _end(record: Record, after: Record, now_s: float, rule: Rule) -> str | None:
    """Name the reason for which there is no next attempt, or return None."""
    policy = record.spec.policy
    if record.probing:
        return "probe-failed"
    if rule.fault_class is FaultClass.FATAL:
        return rule.name
    if rule.charged and not record.proven and after.same_faults >= POISON_FAULTS:
        return "poison"
    attempts, patience_s = policy.give_up_after_attempts, policy.give_up_after_s
    if attempts is not None and record.attempts - record.excused >= attempts:
        return "give-up"
    since_s = record.failing_since_s
    if patience_s is not None and since_s is not None and now_s - since_s >= patience_s:
        return "give-up"
    if rule.charged and policy.budget.spent(after.charged):
        return "budget-spent"
    return None


def gone(record: Record, event: Event, context: Context) -> Decision:
    """The teardown is confirmed, or abandoned: what was settled at the fault comes now."""
    rule = "gone" if isinstance(event, Gone) else "abandoned"
    match record.afterwards:
        case Phase.STOPPED:
            after = replace(record, phase=Phase.STOPPED, due_s=None, resume_s=None)
            return decided(event, rule, record, after)
        case Phase.FAILED:
            after = given_up(record, context)
            every_s = None if after.due_s is None else record.spec.policy.probe_every_s
            return decided(event, rule, record, after, saw={"next_probe_s": every_s})
        case _:
            return resume(record, event, context, rule=rule)


def overdue_teardown(record: Record, event: Event, context: Context) -> Decision:
    """Past twice its grace a teardown hangs: its epoch fences it off, and its parent ends it."""
    if record.spec.parent is None or record.phase is Phase.STOPPING:
        return gone(record, event, context)
    fault = Fault(
        origin="teardown",
        code="deadline",
        text=f"{record.spec.id} could not be torn down within "
        f"{2 * record.spec.policy.teardown_s:g} s",
    )
    tells = (_escalation(record.spec.parent, record, fault, Cause.HANG),)
    after = taken_along(record, context)
    return decided(event, "abandoned", record, after, tells=tells)


def _escalation(parent: str, record: Record, fault: Fault, cause: Cause) -> Escalated:
    return Escalated(id=parent, child=record.spec.id, cause=cause, fault=fault)
