"""Steps that several rules of the engine share: what a decision is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stream_manager.recovery.classify import Classifier, classify
from stream_manager.recovery.faults import Cause
from stream_manager.recovery.incidents import Incident
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    Action,
    Decision,
    Event,
    Phase,
    Record,
    RestartType,
    Start,
    Stop,
)

Evidence = dict[str, float | str | None]
NOTHING: Mapping[str, float | str | None] = {}
# A snapshot that this many starts could not live with is set aside.
RESTORE_FAILURES = 2
COMING_UP = frozenset({Phase.STARTING, Phase.VERIFYING})
RESTORE_CAUSES = frozenset({Cause.MEDIA, Cause.CONFIG, Cause.CRASH, Cause.HANG, Cause.UNKNOWN})


@dataclass(slots=True, kw_only=True)
class Context:
    """What a decision may look at besides the record and the event; made for each, and not frozen.

    awaits: what has to come before the component can start. burdened: something is alive that has
        to go down before it. held_by: the domain that lets it not start.
    incidents: those under way in its domains, of which each spares who fails by its cause.
    seq, because: the number that the decision will have, and of the one that led to it.
    classify: judges faults.
    """

    now_s: float
    chance: Callable[[], float]
    awaits: tuple[str, ...] = ()
    burdened: bool = False
    held_by: str | None = None
    incidents: tuple[Incident, ...] = ()
    seq: int = 0
    because: int | None = None
    classify: Classifier = classify


Handler = Callable[[Record, Event, Context], Decision | None]


def decided(
    event: Event,
    rule: str,
    before: Record,
    after: Record,
    context: Context,
    *,
    saw: Mapping[str, float | str | None] = NOTHING,
    actions: tuple[Action, ...] = (),
    tells: tuple[Event, ...] = (),
) -> Decision:
    """Return the decision."""
    return Decision(
        event=event,
        rule=rule,
        before=before,
        after=after,
        saw=saw,
        actions=actions,
        tells=tells,
        seq=context.seq,
        because=context.because,
        at_s=context.now_s,
    )


def begin(
    record: Record,
    event: Event,
    context: Context,
    *,
    before: Record,
    rule: str,
    probing: bool = False,
) -> Decision:
    """Start now if all it needs is up and no domain holds it, else wait for that."""
    if context.awaits:
        after = replace(record, phase=Phase.PARKED, due_s=None, held_by=None)
        saw: Evidence = {"waits_for": " and ".join(context.awaits)}
        return decided(event, rule, before, after, context, saw=saw)
    if context.held_by is not None:
        after = replace(record, phase=Phase.PARKED, due_s=None, held_by=context.held_by)
        return decided(event, rule, before, after, context, saw={"waits_for": context.held_by})
    policy = record.spec.policy
    after = replace(
        record,
        phase=Phase.STARTING,
        epoch=record.epoch + 1,
        due_s=context.now_s + policy.start_deadline_s,
        resume_s=None,
        held_by=None,
        probing=probing,
        restarts_total=record.restarts_total + probing,
    )
    start = Start(
        id=record.spec.id,
        epoch=after.epoch,
        restore=record.restore_failures < RESTORE_FAILURES,
        deadline_s=policy.start_deadline_s,
    )
    saw = {
        "epoch": after.epoch,
        "attempt": after.attempts,
        "restore": str(start.restore).lower(),
    }
    return decided(event, rule, before, after, context, saw=saw, actions=(start,))


def resume(record: Record, event: Event, context: Context, *, rule: str) -> Decision:
    """Start when the next attempt's instant has come, else wait for it."""
    if record.held_by or record.resume_s is None or record.resume_s <= context.now_s:
        return begin(record, event, context, before=record, rule=rule)
    return back_off(record, event, context, rule=rule, until_s=record.resume_s)


def back_off(
    record: Record, event: Event, context: Context, *, rule: str, until_s: float
) -> Decision:
    """Wait for the instant of the next attempt."""
    after = replace(record, phase=Phase.BACKING_OFF, due_s=until_s, resume_s=None, held_by=None)
    saw = {"delay_s": round(until_s - context.now_s, 3)}
    return decided(event, rule, record, after, context, saw=saw)


def stopping(
    record: Record,
    context: Context,
    phase: Phase,
    *,
    afterwards: Phase,
    marks: Mapping[str, Any] = NOTHING,
) -> tuple[Record, tuple[Stop, ...]]:
    """Return the record of a component that is being ended, and the action that ends it.

    As long as others stand on it there is neither action nor timer: see `unburdened`.
    marks: further fields of the record, since replacing it twice takes twice as long.
    """
    grace_s = record.spec.policy.teardown_s
    after = replace(
        record,
        phase=phase,
        due_s=None if context.burdened else context.now_s + 2 * grace_s,
        afterwards=afterwards,
        proven_at_s=None,
        **marks,
    )
    stop = Stop(id=record.spec.id, epoch=record.epoch, grace_s=grace_s)
    return after, () if context.burdened else (stop,)


def forgiven(record: Record) -> Record:
    """Return the record with the backoff's counters cleared; the intensity window stays."""
    return replace(
        record,
        attempts=0,
        excused=0,
        delay_s=0.0,
        resume_s=None,
        failing_since_s=None,
        restore_failures=0,
    )


def gives_up(record: Record) -> bool:
    """Tell whether FAILED is what its end leads to: a probe's end explains nothing new."""
    return record.probing or (
        record.phase is Phase.TEARING_DOWN and record.afterwards is Phase.FAILED
    )


def given_up(record: Record, now_s: float) -> Record:
    """Return the record in FAILED, with the slow probe's timer where the rule allows one."""
    temporary = record.spec.restart is RestartType.TEMPORARY
    probed = not temporary and (record.last is None or record.last.rule.probed)
    return replace(
        record,
        phase=Phase.FAILED,
        due_s=now_s + record.spec.policy.probe_every_s if probed else None,
        resume_s=None,
        probing=False,
        proven_at_s=None,
    )


def taken_along(record: Record, context: Context) -> Record:
    """Return the record of a component that ended with another; the other's recovery paces it."""
    if gives_up(record):
        return given_up(record, context.now_s)
    resume_s = record.due_s if record.phase is Phase.BACKING_OFF else record.resume_s
    return replace(record, phase=Phase.PARKED, due_s=None, resume_s=resume_s, proven_at_s=None)


def snapshot_blamed(record: Record, cause: Cause) -> bool:
    """Tell whether a start did not survive its snapshot: not if the world outside was at fault."""
    return record.phase in COMING_UP and cause in RESTORE_CAUSES
