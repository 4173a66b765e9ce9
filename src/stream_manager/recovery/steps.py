"""Steps that several rules of the engine share: what a decision is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stream_manager.recovery.faults import Cause
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
RESTORE_CAUSES = frozenset({Cause.MEDIA, Cause.CONFIG, Cause.CRASH, Cause.HANG, Cause.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a decision may look at besides the record and the event."""

    now_s: float
    chance: Callable[[], float]
    ready: bool  # everything that the component needs is up
    burdened: bool  # something is alive that has to go down before it


Handler = Callable[[Record, Event, Context], Decision | None]


def decided(
    event: Event,
    rule: str,
    before: Record,
    after: Record,
    *,
    saw: Mapping[str, float | str | None] = NOTHING,
    actions: tuple[Action, ...] = (),
    tells: tuple[Event, ...] = (),
) -> Decision:
    """Return the decision; its number and time are the manager's to give."""
    return Decision(
        event=event, rule=rule, before=before, after=after, saw=saw, actions=actions, tells=tells
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
    """Start now if all it needs is up, else wait for it."""
    if not context.ready:
        after = replace(record, phase=Phase.PARKED, due_s=None)
        return decided(event, rule, before, after, saw={"waits_for": ", ".join(after.spec.needs)})
    policy = record.spec.policy
    after = replace(
        record,
        phase=Phase.STARTING,
        epoch=record.epoch + 1,
        due_s=context.now_s + policy.start_deadline_s,
        resume_s=None,
        probing=probing,
        restarts_total=record.restarts_total + probing,
    )
    start = Start(
        id=record.spec.id,
        epoch=after.epoch,
        restore=record.restore_failures < RESTORE_FAILURES,
        deadline_s=policy.start_deadline_s,
    )
    saw: dict[str, float | str | None] = {
        "epoch": after.epoch,
        "attempt": after.attempts,
        "restore": str(start.restore).lower(),
    }
    return decided(event, rule, before, after, saw=saw, actions=(start,))


def resume(record: Record, event: Event, context: Context, *, rule: str) -> Decision:
    """Start when the next attempt's instant has come, else wait for it."""
    if record.resume_s is None or record.resume_s <= context.now_s:
        return begin(record, event, context, before=record, rule=rule)
    after = replace(record, phase=Phase.BACKING_OFF, due_s=record.resume_s, resume_s=None)
    saw = {"delay_s": round(record.resume_s - context.now_s, 3)}
    return decided(event, rule, record, after, saw=saw)


def stopping(
    record: Record, context: Context, phase: Phase, *, afterwards: Phase
) -> tuple[Record, tuple[Stop, ...]]:
    """Return the record of a component that is being ended, and the action that ends it.

    As long as others stand on it there is neither action nor timer: see `unburdened`.
    """
    grace_s = record.spec.policy.teardown_s
    after = replace(
        record,
        phase=phase,
        due_s=None if context.burdened else context.now_s + 2 * grace_s,
        afterwards=afterwards,
        proven_at_s=None,
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


def given_up(record: Record, context: Context) -> Record:
    """Return the record in FAILED, with the slow probe's timer where the rule allows one."""
    temporary = record.spec.restart is RestartType.TEMPORARY
    probed = not temporary and (record.last is None or record.last.rule.probed)
    return replace(
        record,
        phase=Phase.FAILED,
        due_s=context.now_s + record.spec.policy.probe_every_s if probed else None,
        resume_s=None,
        probing=False,
        proven_at_s=None,
    )


def taken_along(record: Record, context: Context) -> Record:
    """Return the record of a component that ended with another; the other's recovery paces it."""
    if record.probing or (record.phase is Phase.TEARING_DOWN and record.afterwards is Phase.FAILED):
        return given_up(record, context)
    resume_s = record.due_s if record.phase is Phase.BACKING_OFF else record.resume_s
    return replace(record, phase=Phase.PARKED, due_s=None, resume_s=resume_s, proven_at_s=None)


def blamed_snapshot(before: Record, after: Record, cause: Cause) -> Record:
    """Count a start that did not survive its snapshot, unless the world outside was at fault."""
    if before.phase not in {Phase.STARTING, Phase.VERIFYING} or cause not in RESTORE_CAUSES:
        return after
    return replace(after, restore_failures=after.restore_failures + 1)
