"""What the log says: once per fact, what an operator needs, and no more."""

from collections.abc import Callable

import structlog

from stream_manager.health import Outage
from stream_manager.recovery import (
    Decision,
    Escalated,
    Failed,
    IncidentStep,
    Phase,
    Reset,
    Restart,
    Wanted,
    describe,
)

log = structlog.get_logger()


def report(decision: Decision, outage: Outage | None, *, wall: Callable[[float], str]) -> None:
    """Log a decision if it is news: a fault, a recovery, a command, an end."""
    before, after = decision.before, decision.after
    component = after.spec.id
    facts = {"stream": component.partition("/")[0], "epoch": after.epoch}
    if "/" in component:
        facts["part"] = component.rpartition("/")[2]
    sentence = describe(decision, wall=wall)
    fault = after.last if after.last is not before.last else None
    if fault is not None:
        facts["cause"] = fault.rule.cause.value
        if after.afterwards is Phase.FAILED and after.phase is Phase.TEARING_DOWN:
            log.error(sentence, **facts)
        else:
            log.warning(sentence, **facts)
    elif after.phase is Phase.RUNNING and before.phase is Phase.VERIFYING and "/" in component:
        if outage is not None and outage.ended_s is not None:
            facts["outage_s"] = round(outage.ended_s - outage.began_s, 3)
            facts["cause"] = outage.cause
        log.info(sentence, **facts)
    elif isinstance(decision.event, Wanted | Restart | Reset) and "/" not in component:
        log.info(sentence, **facts)
    elif decision.rule == "abandoned" or isinstance(decision.event, Escalated | Failed):
        log.warning(sentence, **facts)


def report_own(decision: Decision, *, wall: Callable[[float], str]) -> None:
    """Log what concerns a task of the manager's own, if it is news: a fault, a recovery."""
    before, after = decision.before, decision.after
    facts = {"task": after.spec.id, "epoch": after.epoch}
    if after.last is not before.last:
        log.warning(describe(decision, wall=wall), **facts)
    elif after.phase is Phase.RUNNING and before.phase is Phase.VERIFYING and after.restarts_total:
        log.info(describe(decision, wall=wall), **facts)


def report_incident(step: IncidentStep, *, wall: Callable[[float], str]) -> None:
    """Log what an incident begins and ends with; its probes and its ramp stand in the journal."""
    facts = {"domain": step.after.domain, "cause": step.after.cause.value}
    sentence = describe(step, wall=wall)
    if step.before is None or step.rule in {"incident-confirmed", "incident-reopened"}:
        log.warning(sentence, **facts)
    elif step.after.outcome is not None or step.rule in {"incident-vetoed", "incident-proved"}:
        log.info(sentence, **facts)
