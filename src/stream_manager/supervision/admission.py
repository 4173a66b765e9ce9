"""What `Supervisor.add` was given, checked and made a `Spec`."""

from collections.abc import Sequence
from math import isfinite

from stream_manager.errors import UsageError
from stream_manager.recovery import RecoveryPolicy, RestartType, Spec, Strategy


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
    """Return the component's spec; its parent is needed too.

    Raises UsageError for an empty name, and for a string in the place of a list of names.
    """
    if not id_:
        raise UsageError("a component's id is empty: expected a name")
    for option, names in (("needs", needs), ("depends_on", depends_on)):
        if isinstance(names, str):
            raise UsageError(f"{option} is {names!r}: expected a list of names")
    above = () if parent is None or parent in needs else (parent,)
    return Spec(
        id=id_,
        policy=RecoveryPolicy() if policy is None else policy,
        parent=parent,
        needs=(*above, *needs),
        strategy=strategy,
        restart=restart,
        domains=tuple(dict.fromkeys(depends_on)),
        proof="progress",
    )


def check_stall(stall_after_s: float | None) -> None:
    """Raise UsageError for a silence that no clock can measure."""
    if stall_after_s is not None and not (isfinite(stall_after_s) and stall_after_s > 0):
        raise UsageError(f"stall_after_s is {stall_after_s}: expected a duration above 0, or None")
