"""The way up: a start or an adoption, its proof, its forgiveness, waiting for what is needed."""

from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    Adopted,
    Deaf,
    Decision,
    Event,
    Lost,
    Phase,
    Record,
    Swept,
    Unburdened,
    Unproved,
)
from stream_manager.recovery.steps import (
    Context,
    Evidence,
    begin,
    decided,
    forgiven,
    resume,
    snapshot_blamed,
    stopping,
    taken_along,
)


def adopted(record: Record, event: Event, context: Context) -> Decision:
    """It lives, and was counted until its manager ended: what holds of it is told anew.

    What had FAILED is being probed; what waited was being torn down, or its wait was over. A domain
    that held it holds it again when its teardown is confirmed.
    """
    assert isinstance(event, Adopted)
    failed = record.phase is Phase.FAILED
    alive = replace(
        record, wanted=True, digest=event.digest, epoch=event.epoch, probing=failed, finished=False
    )
    saw: Evidence = {"epoch": event.epoch}
    if event.ending:
        afterwards = Phase.FAILED if failed else Phase.BACKING_OFF
        waits_until_s = record.resume_s if record.phase is Phase.PARKED else record.due_s
        alive = replace(alive, resume_s=None if failed else waits_until_s)
        after, stop = stopping(alive, context, Phase.TEARING_DOWN, afterwards=afterwards)
        return decided(event, "adopted-ending", record, after, context, saw=saw, actions=stop)
    due_s = context.now_s + record.spec.policy.start_deadline_s
    after = replace(alive, phase=Phase.STARTING, due_s=due_s, resume_s=None, held_by=None)
    return decided(event, "adopted", record, after, context, saw=saw)


def started(record: Record, event: Event, context: Context) -> Decision:
    """It is built; its proof is awaited."""
    # What a child proves has no deadline of its own: the child has one.
    due_s = None if record.spec.proven_by else record.due_s
    after = replace(record, phase=Phase.VERIFYING, due_s=due_s)
    return decided(event, "started", record, after, context)


def proved(record: Record, event: Event, context: Context) -> Decision:
    """Media advanced long enough: this, and nothing less, is recovery."""
    after = replace(
        record,
        phase=Phase.RUNNING,
        proven=True,
        proven_at_s=context.now_s,
        probing=False,
        ended_by=None,
        excused=record.attempts if record.probing else record.excused,
        failing_since_s=None if record.probing else record.failing_since_s,
        same_faults=0,
        restore_failures=0,
        due_s=context.now_s + record.spec.policy.stable_for_s if record.attempts else None,
    )
    saw = {"attempt": record.attempts, "verify_for_s": record.spec.policy.verify_for_s}
    return decided(event, "proved", record, after, context, saw=saw)


def postponed(record: Record, event: Event, context: Context) -> Decision | None:
    """It could say nothing, or was not told to go on: its deadline is as much later."""
    assert isinstance(event, Deaf)
    if record.due_s is None:
        return None
    after = replace(record, due_s=record.due_s + event.late_s)
    saw = {"late_s": round(event.late_s, 3)}
    return decided(event, "manager-was-late", record, after, context, saw=saw)


def stable(record: Record, event: Event, context: Context) -> Decision:
    """It stayed proven for `stable_for`: what was before is forgiven."""
    after = replace(forgiven(record), due_s=None)
    saw = {"attempt": record.attempts, "stable_for_s": record.spec.policy.stable_for_s}
    return decided(event, "stable", record, after, context, saw=saw)


def unproved(record: Record, event: Event, context: Context) -> Decision:
    """Its process lives on, but the media that proved it has stopped."""
    assert isinstance(event, Unproved)
    after = replace(record, phase=Phase.VERIFYING, due_s=None, proven_at_s=None)
    return decided(event, "child-failed", record, after, context, saw={"child": event.by})


def backoff_over(record: Record, event: Event, context: Context) -> Decision:
    """The wait is over; or there was none, and it ran when an earlier manager ended."""
    rule = "ran-before" if record.failing_since_s is None else "backoff-over"
    return begin(record, event, context, before=record, rule=rule)


def slow_probe(record: Record, event: Event, context: Context) -> Decision:
    """FAILED is tried once more."""
    if context.awaits or context.held_by is not None:
        every_s = record.spec.policy.probe_every_s
        after = replace(record, due_s=context.now_s + every_s)
        saw: Evidence = {"next_probe_s": every_s}
        return decided(event, "probe-postponed", record, after, context, saw=saw)
    return begin(record, event, context, before=record, rule="slow-probe", probing=True)


def lifted(record: Record, event: Event, context: Context) -> Decision | None:
    """All it needs is up: go on where it was parked."""
    if context.awaits:
        return None
    return resume(record, event, context, rule="need-is-up")


def lost(record: Record, event: Event, context: Context) -> Decision | None:
    """What it needs went down: wait for it, charged nothing."""
    assert isinstance(event, Lost)
    if not record.spec.inside and record.phase is not Phase.BACKING_OFF:
        return _along(record, event, context, rule="need-is-down", saw={"need": event.by})
    if record.phase is Phase.STOPPING:
        after = replace(record, phase=Phase.STOPPED, due_s=None, resume_s=None)
    else:
        after = taken_along(record, context)
        if event.cause is not None and event.by == record.spec.parent:
            # A crash of the process that it runs in may be the doing of what it restored.
            blamed = snapshot_blamed(record, event.cause)
            after = replace(after, restore_failures=record.restore_failures + blamed)
    return decided(event, "need-is-down", record, after, context, saw={"need": event.by})


def swept(record: Record, event: Event, context: Context) -> Decision | None:
    """A sibling's failure takes it along, charged nothing."""
    assert isinstance(event, Swept)
    return _along(record, event, context, rule="swept", saw={"by": event.by})


def unburdened(record: Record, event: Event, context: Context) -> Decision | None:
    """What stood on it is gone: its own teardown begins."""
    assert isinstance(event, Unburdened)
    if record.due_s is not None:
        return None  # it has begun already
    after, stop = stopping(record, context, record.phase, afterwards=record.afterwards)
    return decided(event, "unburdened", record, after, context, saw={"by": event.by}, actions=stop)


def _along(
    record: Record, event: Event, context: Context, *, rule: str, saw: Evidence
) -> Decision | None:
    """Tear down what runs for itself; what is on its way down already goes on with that."""
    if record.phase in {Phase.TEARING_DOWN, Phase.STOPPING}:
        return None
    afterwards = Phase.FAILED if record.probing else Phase.BACKING_OFF
    after, stop = stopping(record, context, Phase.TEARING_DOWN, afterwards=afterwards)
    return decided(event, rule, record, after, context, saw=saw, actions=stop)
