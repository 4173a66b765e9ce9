"""Live video streams that do not go down, and the recovery core of that for anything else.

The names below are the library; they are loaded when they are first asked for, so that importing
the package costs nothing. `stream_manager.testing` has what users' own tests need.

Read the code in this order: clock and errors, recovery (decides; pure), supervision (acts, in
asyncio); then, for video, config, pipelines (the worker's side), streams (the manager's), health,
recordings, store, api, cli. `lab` breaks things on purpose.
"""

TYPE_CHECKING = False  # type checkers know the name; typing itself would cost more than all of this
if TYPE_CHECKING:
    from stream_manager.errors import (
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
        Step,
    )
    from stream_manager.supervision import (
        AsyncFunction,
        Component,
        Journal,
        MemoryJournal,
        Run,
        Snapshot,
        Snapshots,
        Status,
        Subprocess,
        Supervisor,
        ThreadFunction,
    )

__all__ = [
    "AsyncFunction",
    "Backoff",
    "Budget",
    "Cause",
    "Component",
    "Decision",
    "Fault",
    "FaultClass",
    "IncidentStep",
    "InvariantError",
    "Journal",
    "MemoryJournal",
    "OutsideError",
    "Phase",
    "RecoveryPolicy",
    "Run",
    "Snapshot",
    "Snapshots",
    "Status",
    "Step",
    "StreamManagerError",
    "Subprocess",
    "Supervisor",
    "ThreadFunction",
    "UsageError",
]

_HOMES = {
    "errors": ("InvariantError", "OutsideError", "StreamManagerError", "UsageError"),
    "recovery": (
        *("Backoff", "Budget", "Cause", "Decision"),
        *("Fault", "FaultClass", "IncidentStep", "Phase", "RecoveryPolicy", "Step"),
    ),
    "supervision": (
        *("AsyncFunction", "Subprocess", "ThreadFunction", "Component", "Run", "Supervisor"),
        *("Journal", "MemoryJournal", "Snapshot", "Snapshots", "Status"),
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
