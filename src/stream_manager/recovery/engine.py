"""What one component does about one event: a table of pure functions.

Rules, in the order in which a failure meets them:
- A fault is classified; FATAL, poison, a spent budget and `give_up_after` end in FAILED or with
  the parent; everything else is torn down and tried again, at once or after the backoff.
- A run begins only when the one before is confirmed gone, or abandoned past its grace.
- Only proof counts as recovery, and only `stable_for` of continuous proof is forgiven.
- What happened to a component because of something else (Lost, a command) charges it nothing.
- What fails by its domain's doing is torn down, and waits in that domain's queue, charged nothing.

Every pair of phase and event stands in `TABLE`; IGNORE changes nothing, ILLEGAL raises.
"""

from stream_manager.errors import InvariantError
from stream_manager.recovery.commands import handover, reset, restart, wanted
from stream_manager.recovery.fall import (
    escalated,
    failed,
    finished,
    gone,
    overdue_start,
    overdue_teardown,
)
from stream_manager.recovery.queueing import admitted, held
from stream_manager.recovery.rise import (
    adopted,
    backoff_over,
    lifted,
    lost,
    postponed,
    proved,
    slow_probe,
    stable,
    started,
    swept,
    unburdened,
    unproved,
)
from stream_manager.recovery.states import (
    Admitted,
    Adopted,
    Deaf,
    Decision,
    Due,
    Escalated,
    Event,
    Failed,
    Finished,
    Gone,
    Handover,
    Held,
    Lifted,
    Lost,
    Phase,
    Proved,
    Record,
    Reset,
    Restart,
    Started,
    Swept,
    Unburdened,
    Unproved,
    Vouched,
    Wanted,
)
from stream_manager.recovery.steps import Context, Handler


def decide(record: Record, event: Event, context: Context) -> Decision | None:
    """Return what `record`'s component does about `event`, or None where nothing changes.

    Raises InvariantError for a pair that can't happen; nothing has changed then.
    """
    return TABLE[record.phase, type(event)](record, event, context)


# --- the table --------------------------------------------------------------------------------


def ignore(_record: Record, _event: Event, _context: Context) -> None:
    """Change nothing: a fact that comes too late, or that this phase has already acted upon."""


def illegal(record: Record, event: Event, _context: Context) -> Decision:
    """Refuse a pair that can't happen."""
    raise InvariantError(
        f"{record.spec.id} got {type(event).__name__} while {record.phase.value}: "
        "no component can say that there"
    )


# fmt: off
# ruff: noqa: E501 - a table is read by its columns
_COLUMNS = (
    Phase.STOPPED, Phase.STARTING, Phase.VERIFYING, Phase.RUNNING, Phase.TEARING_DOWN, Phase.BACKING_OFF, Phase.PARKED, Phase.FAILED, Phase.STOPPING,
)
_ROWS: dict[type[Event], tuple[Handler, ...]] = {
    Wanted:    (wanted, wanted, wanted, wanted, wanted, wanted, wanted, wanted, wanted),
    Restart:   (ignore, restart, restart, restart, restart, restart, restart, restart, ignore),
    Handover:  (ignore, ignore, handover, handover, ignore, ignore, ignore, ignore, ignore),
    Reset:     (ignore, reset, reset, reset, reset, reset, reset, reset, ignore),
    Adopted:   (adopted, illegal, illegal, illegal, illegal, adopted, adopted, adopted, illegal),
    Started:   (ignore, started, illegal, illegal, ignore, ignore, ignore, ignore, ignore),
    Proved:    (ignore, illegal, proved, ignore, ignore, ignore, ignore, ignore, ignore),
    Failed:    (ignore, failed, failed, failed, ignore, ignore, ignore, ignore, ignore),
    Finished:  (ignore, finished, finished, finished, ignore, ignore, ignore, ignore, ignore),
    Gone:      (ignore, illegal, illegal, illegal, gone, ignore, ignore, ignore, gone),
    Due:       (illegal, overdue_start, overdue_start, stable, overdue_teardown, backoff_over, illegal, slow_probe, overdue_teardown),
    Deaf:      (ignore, postponed, postponed, ignore, postponed, ignore, ignore, ignore, postponed),
    Lifted:    (ignore, ignore, ignore, ignore, ignore, ignore, lifted, ignore, ignore),
    Lost:      (ignore, lost, lost, lost, lost, lost, ignore, ignore, lost),
    Swept:     (ignore, swept, swept, swept, ignore, ignore, ignore, ignore, ignore),
    Unburdened: (ignore, ignore, ignore, ignore, unburdened, ignore, ignore, ignore, unburdened),
    Vouched:   (ignore, illegal, proved, ignore, ignore, ignore, ignore, ignore, ignore),
    Unproved:  (ignore, ignore, ignore, unproved, ignore, ignore, ignore, ignore, ignore),
    Escalated: (ignore, ignore, escalated, escalated, ignore, ignore, ignore, ignore, ignore),
    Held:      (ignore, held, held, ignore, held, held, held, ignore, ignore),
    Admitted:  (ignore, ignore, ignore, ignore, ignore, ignore, admitted, ignore, ignore),
}
# fmt: on

TABLE: dict[tuple[Phase, type[Event]], Handler] = {
    (phase, event): handler
    for event, row in _ROWS.items()
    for phase, handler in zip(_COLUMNS, row, strict=True)
}
