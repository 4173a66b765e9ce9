"""What `Supervisor.add` was given, checked and made a `Spec`."""

import warnings
from collections.abc import Sequence

from stream_manager.errors import UsageError
from stream_manager.recovery import RecoveryPolicy, RestartType, Spec, Strategy
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

    Raises UsageError for an empty name, and for a string in the place of a list of names.
    """
    if not id_:
        raise UsageError("a component's id is empty: expected a name")
    for option, names in (("needs", needs), ("depends_on", depends_on)):
        if isinstance(names, str):
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
