"""What people and programs are told of one component."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_manager.clock import Clock, local_time, wall_of
from stream_manager.recovery import Cause, Fault, Incident, Phase, Record, explain

_NEXT_ATTEMPT = frozenset({Phase.BACKING_OFF, Phase.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a component stands.

    epoch: the number of its run. attempts: retries since it was last stable.
    next_attempt_in_s: None where none is due. last_fault and its cause: None before the first.
    finished: it has ended by itself, in good order, and is not started again.
    """

    id: str
    phase: Phase
    epoch: int
    attempts: int
    restarts_total: int
    next_attempt_in_s: float | None
    last_fault: Fault | None
    cause: Cause | None
    finished: bool


def status(record: Record, *, now_s: float) -> Status:
    """Return what the core knows of a component; `now_s` is the present monotonic instant."""
    due_s = record.due_s if record.phase in _NEXT_ATTEMPT else record.resume_s
    return Status(
        id=record.spec.id,
        phase=record.phase,
        epoch=record.epoch,
        attempts=record.attempts,
        restarts_total=record.restarts_total,
        next_attempt_in_s=None if due_s is None else max(due_s - now_s, 0.0),
        last_fault=None if record.last is None else record.last.fault,
        cause=None if record.last is None else record.last.rule.cause,
        finished=record.finished,
    )


def sentences(
    record: Record, *, clock: Clock, incident: Incident | None, awaits: Sequence[str]
) -> list[str]:
    """Return why it stands there and what comes next, in sentences with local times.

    incident: that of the domain which holds it, if one does. awaits: what it can't start without.
    """
    now = clock.wall()

    def wall(instant_s: float) -> str:
        return local_time(wall_of(instant_s, clock), now)

    return explain(record, now_s=clock.monotonic_s(), wall=wall, incident=incident, awaits=awaits)
