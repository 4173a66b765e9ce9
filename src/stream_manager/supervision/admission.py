"""What `Supervisor.add` was given, checked and made a `Spec`."""

import warnings
from collections.abc import Collection, Sequence
from types import UnionType

from stream_manager.errors import UsageError
from stream_manager.recovery import Phase, RecoveryPolicy, RestartType, Spec, Strategy
from stream_manager.recovery.checks import given, require_durations


def spec_of(
    id_: str,
    *,
    policy: RecoveryPolicy | None,
    parent: str | None,
    needs: Sequence[str] = (),
    depends_on: Sequence[str] = (),
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    restart: RestartType = RestartType.PERMANENT,
) -> Spec:
    """Return the component's spec; its parent is needed too. An odd policy is warned of.

    Raises UsageError, naming option and value, for an empty name and for values of other types.
    """
    _require("a component's id", id_, str, "a name")
    if not id_:
        raise UsageError("a component's id is empty: expected a name")
    _require("policy", policy, RecoveryPolicy | None, "a RecoveryPolicy")
    _require("parent", parent, str | None, "the id of a component")
    _require("strategy", strategy, Strategy, "a Strategy, such as Strategy.ONE_FOR_ALL")
    _require("restart", restart, RestartType, "a RestartType, such as RestartType.TRANSIENT")
    for option, names in (("needs", needs), ("depends_on", depends_on)):
        _require(option, names, Collection, "a list of names")
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"{option} is {names!r}: expected a list of names")
    policy = RecoveryPolicy() if policy is None else policy
    for oddity in policy.oddities():
        warnings.warn(f"component {id_!r}: {oddity}", stacklevel=3)
    above = () if parent is None or parent in needs else (parent,)
    return Spec(
        id=id_,
        policy=policy,
        parent=parent,
        needs=(*above, *needs),
        strategy=strategy,
        restart=restart,
        domains=tuple(dict.fromkeys(depends_on)),
        proof="progress",
    )


def check_stall(stall_after_s: float | None) -> None:
    """Raise UsageError for a silence that no clock can measure."""
    try:
        require_durations(**given(stall_after_s=stall_after_s))
    except ValueError as error:
        raise UsageError(str(error)) from None


def check_phases(phases: Sequence[Phase]) -> None:
    """Raise UsageError for a wait that could never end."""
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        told = ", ".join(map(repr, phases)) or "nothing"
        raise UsageError(f"wait_until got {told}: expected phases, such as Phase.RUNNING")


def check_part(option: str, value: object, *methods: str) -> None:
    """Raise UsageError for a part of a supervisor that lacks a method, or is the class of one."""
    if isinstance(value, type) or not all(hasattr(value, name) for name in methods):
        raise UsageError(
            f"{option} is {value!r}: expected an object with {', '.join(methods)}, or nothing"
        )


def _require(option: str, value: object, kind: type | UnionType, expected: str) -> None:
    if not isinstance(value, kind):
        raise UsageError(f"{option} is {value!r}: expected {expected}")
