"""The verdict on a fault: its rule, the marks that it leaves, and whether an attempt follows."""

from collections.abc import Mapping
from typing import Any

from stream_manager.recovery.classify import History, Rule
from stream_manager.recovery.faults import Fault, FaultClass
from stream_manager.recovery.states import Record, RestartType, Sighting
from stream_manager.recovery.steps import Context, Evidence, snapshot_blamed

# Five identical faults before anything ever worked: it is the configuration, not the weather.
POISON_FAULTS = 5
# Reasons that are limits of a policy.
LIMITS = ("poison", "give-up", "out-of-time", "budget-spent")


def rule_of(record: Record, context: Context, fault: Fault) -> Rule:
    """Return the rule that judges a fault, by what the component has been through."""
    last = record.last
    history = History(
        proven=record.proven,
        attempts=record.attempts,
        last_cause=last.rule.cause if last and record.attempts else None,
        since_last_s=context.now_s - last.at_s if last else None,
    )
    return context.classify(fault, history)


def marks_of(record: Record, sighting: Sighting) -> dict[str, Any]:
    """Return the fields of the record that a fault leaves its mark in."""
    fault, rule, now_s = sighting.fault, sighting.rule, sighting.at_s
    same = record.last is not None and fault.same_as(record.last.fault)
    budget = record.spec.policy.budget
    return {
        "last": sighting,
        "same_faults": record.same_faults + 1 if same else 1,
        "charged": budget.charge(record.charged, now_s) if rule.charged else record.charged,
        "failing_since_s": now_s if record.failing_since_s is None else record.failing_since_s,
        "restore_failures": record.restore_failures + snapshot_blamed(record, rule.cause),
        "probing": False,
    }


def evidence_of(record: Record, sighting: Sighting) -> Evidence:
    """Return what the rule looked at, as the journal has it."""
    fault, rule, last = sighting.fault, sighting.rule, record.last
    return {
        "cause": rule.cause.value,
        "class": rule.fault_class.value,
        "origin": fault.origin,
        "code": fault.code,
        "status": fault.status,
        "attempt": record.attempts,
        "proven": str(record.proven).lower(),
        "last_cause": last.rule.cause.value if last else None,
        "since_last_s": round(sighting.at_s - last.at_s, 3) if last else None,
    }


def charges_of(record: Record, marks: Mapping[str, Any], rule: Rule) -> Evidence:
    """Return how far the fault brings the component to its limits."""
    if not rule.charged:
        return {"same_faults": marks["same_faults"]}
    budget = record.spec.policy.budget
    return {
        "same_faults": marks["same_faults"],
        "restarts": len(marks["charged"]),
        "limit": budget.restarts,
        "within_s": budget.within_s,
    }


def limit_of(record: Record, now_s: float, end: str) -> Evidence:
    """Return the numbers of the reason for which there is no next attempt."""
    policy, since_s = record.spec.policy, record.failing_since_s
    match end:
        case "poison":
            return {"poison_faults": POISON_FAULTS}
        case "give-up":
            used = record.attempts - record.excused
            return {"retries": used, "allowed_retries": policy.give_up_after_attempts}
        case "out-of-time":
            failing_s = now_s - (now_s if since_s is None else since_s)
            return {"failing_s": round(failing_s, 3), "allowed_s": policy.give_up_after_s}
        case _:
            return {}


def end_of(record: Record, marks: Mapping[str, Any], now_s: float, rule: Rule) -> str | None:
    """Name the reason for which there is no next attempt, or return None."""
    policy = record.spec.policy
    if record.spec.restart is RestartType.TEMPORARY:
        return "temporary"
    if record.probing:
        return "probe-failed"
    if rule.fault_class is FaultClass.FATAL:
        return rule.name
    if rule.charged and not record.proven and marks["same_faults"] >= POISON_FAULTS:
        return "poison"
    attempts, patience_s = policy.give_up_after_attempts, policy.give_up_after_s
    if attempts is not None and record.attempts - record.excused >= attempts:
        return "give-up"
    since_s = record.failing_since_s
    if patience_s is not None and since_s is not None and now_s - since_s >= patience_s:
        return "out-of-time"
    if rule.charged and policy.budget.spent(marks["charged"]):
        return "budget-spent"
    return None
