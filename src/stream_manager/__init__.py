"""Live video streams that do not go down, and the recovery core of that for anything else.

The names below are the library; they are loaded when they are first asked for, so that importing
the package costs nothing. `stream_manager.testing` has what users' own tests need.

Read the code in this order: clock and errors, recovery (decides; pure), supervision (acts, in
asyncio); then, for video, config, pipelines (the worker's side), streams (the manager's), health,
recordings, evidence, store, api, cli. `lab` breaks things on purpose.
"""

TYPE_CHECKING = False  # type checkers know the name; typing itself would cost more than all of this
if TYPE_CHECKING:
    from stream_manager.errors import (
        BulkheadFullError,
        CircuitOpenError,
        InvariantError,
        OutsideError,
        StreamManagerError,
        UsageError,
    )
    from stream_manager.recovery import (
        Backoff,
        Budget,
        Cause,
        Decision,
        Fault,
        FaultClass,
        IncidentStep,
        Phase,
        RecoveryPolicy,
        RestartType,
        Rule,
        Step,
        Strategy,
        When,
    )
    from stream_manager.supervision import (
        AsyncFunction,
        BreakerRegistry,
        Bulkhead,
        CircuitBreaker,
        Component,
        FailedAttempt,
        GaveUp,
        Journal,
        MemoryJournal,
        RetryBudget,
        Run,
        Snapshot,
        Snapshots,
        Status,
        Subprocess,
        Supervisor,
        ThreadFunction,
        deadline,
        remaining_s,
        retry,
    )

__all__ = [
    "AsyncFunction",
    "Backoff",
    "BreakerRegistry",
    "Budget",
    "Bulkhead",
    "BulkheadFullError",
    "Cause",
    "CircuitBreaker",
    "CircuitOpenError",
    "Component",
    "Decision",
    "FailedAttempt",
    "Fault",
    "FaultClass",
    "GaveUp",
    "IncidentStep",
    "InvariantError",
    "Journal",
    "MemoryJournal",
    "OutsideError",
    "Phase",
    "RecoveryPolicy",
    "RestartType",
    "RetryBudget",
    "Rule",
    "Run",
    "Snapshot",
    "Snapshots",
    "Status",
    "Step",
    "Strategy",
    "StreamManagerError",
    "Subprocess",
    "Supervisor",
    "ThreadFunction",
    "UsageError",
    "When",
    "deadline",
    "remaining_s",
    "retry",
]

_HOMES = {
    "errors": (
        *("BulkheadFullError", "CircuitOpenError"),
        *("InvariantError", "OutsideError", "StreamManagerError", "UsageError"),
    ),
    "recovery": (
        *("Backoff", "Budget", "Cause", "Decision", "Fault", "FaultClass", "IncidentStep"),
        *("Phase", "RecoveryPolicy", "RestartType", "Rule", "Step", "Strategy", "When"),
    ),
    "supervision": (
        *("AsyncFunction", "Subprocess", "ThreadFunction", "Component", "Run", "Supervisor"),
        *("Journal", "MemoryJournal", "Snapshot", "Snapshots", "Status"),
        *("CircuitBreaker", "BreakerRegistry", "Bulkhead"),
        *("retry", "RetryBudget", "FailedAttempt", "GaveUp", "deadline", "remaining_s"),
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - importing the package costs nothing

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
