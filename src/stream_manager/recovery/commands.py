"""What is wanted of a component, and how it is replaced: by command, or by a successor."""

from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    Decision,
    Event,
    Handover,
    HandoverStep,
    Phase,
    Record,
    Wanted,
)
from stream_manager.recovery.steps import Context, begin, decided, forgiven, stopping


def wanted(record: Record, event: Event, context: Context) -> Decision | None:
    """Start, stop, or take on a changed configuration; what is so already changes nothing."""
    assert isinstance(event, Wanted)
    changed = event.up and event.digest != record.digest
    if not changed and event.up == record.wanted:
        return None
    if not event.up:
        return _unwanted(replace(record, wanted=False), event, context, before=record)
    fresh = replace(_cleared(record), wanted=True, digest=event.digest)
    if changed:
        fresh = replace(fresh, proven=False, same_faults=0, last=None)
    rule = "wanted" if not record.wanted else "configuration-changed"
    return _again(fresh, event, context, before=record, rule=rule)


def _unwanted(record: Record, event: Event, context: Context, *, before: Record) -> Decision:
    match record.phase:
        case Phase.STARTING | Phase.VERIFYING | Phase.RUNNING:
            after, stop = stopping(record, context, Phase.STOPPING, afterwards=Phase.STOPPED)
            return decided(event, "unwanted", before, after, context, actions=stop)
        case Phase.TEARING_DOWN:
            after = replace(record, phase=Phase.STOPPING, afterwards=Phase.STOPPED, held_by=None)
            return decided(event, "unwanted", before, after, context)
        case _:
            after = replace(record, phase=Phase.STOPPED, due_s=None, resume_s=None, held_by=None)
            return decided(event, "unwanted", before, after, context)


def restart(record: Record, event: Event, context: Context) -> Decision:
    """Tear down what runs and start again, all counters cleared."""
    return _again(_cleared(record), event, context, before=record, rule="restart-commanded")


def handover(record: Record, event: Event, context: Context) -> Decision:
    """Let the run go once its successor is verified, charged nothing; what leads there is told."""
    assert isinstance(event, Handover)
    rule, saw = f"handover-{event.step.value}", {"why": event.why}
    if event.step is not HandoverStep.VERIFIED:
        return decided(event, rule, record, record, context, saw=saw)
    after, stop = stopping(record, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF)
    return decided(
        event, rule, record, replace(after, resume_s=None), context, saw=saw, actions=stop
    )


def reset(record: Record, event: Event, context: Context) -> Decision:
    """Clear the counters, and try at once what waits or has failed; what runs goes on."""
    fresh = _cleared(record)
    match record.phase:
        case Phase.FAILED | Phase.BACKING_OFF:
            return begin(fresh, event, context, before=record, rule="reset-commanded")
        case Phase.TEARING_DOWN:
            fresh = replace(fresh, afterwards=Phase.BACKING_OFF)
        case Phase.RUNNING:
            fresh = replace(fresh, due_s=None)
    return decided(event, "reset-commanded", record, fresh, context)


def _again(
    record: Record, event: Event, context: Context, *, before: Record, rule: str
) -> Decision:
    """Start it, after a teardown where something still runs."""
    match record.phase:
        case Phase.STARTING | Phase.VERIFYING | Phase.RUNNING:
            after, stop = stopping(
                record, context, Phase.TEARING_DOWN, afterwards=Phase.BACKING_OFF
            )
            return decided(event, rule, before, after, context, actions=stop)
        case Phase.TEARING_DOWN | Phase.STOPPING:
            after = replace(
                record,
                phase=Phase.TEARING_DOWN,
                afterwards=Phase.BACKING_OFF,
                resume_s=None,
            )
            return decided(event, rule, before, after, context)
        case _:
            return begin(record, event, context, before=before, rule=rule)


def _cleared(record: Record) -> Record:
    return replace(forgiven(record), charged=(), probing=False, ended_by=None, finished=False)
