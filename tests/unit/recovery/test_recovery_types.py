"""Policies of wrong types: refused as impossible numbers are, by the field's name and its value."""

from collections.abc import Callable

import pytest

from stream_manager.recovery import Backoff, Budget, RecoveryPolicy


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Backoff(base_s="1"), "base_s is '1': expected a duration"),  # type: ignore[arg-type]
        (lambda: Backoff(factor="2"), "factor is '2': expected 1 to 100"),  # type: ignore[arg-type]
        (lambda: Backoff(cap_s=None), "cap_s is None: expected at least"),  # type: ignore[arg-type]
        (lambda: Budget(restarts="5"), "restarts is '5': expected a number"),  # type: ignore[arg-type]
        (lambda: Budget(within_s="60s"), "within_s is '60s': expected a duration"),  # type: ignore[arg-type]
        (lambda: RecoveryPolicy(backoff=1.0), "backoff is 1.0: expected a Backoff"),  # type: ignore[arg-type]
        (lambda: RecoveryPolicy(budget=5), "budget is 5: expected a Budget"),  # type: ignore[arg-type]
        (lambda: RecoveryPolicy(stable_for_s=None), "stable_for_s is None"),  # type: ignore[arg-type]
        (
            lambda: RecoveryPolicy(give_up_after_attempts="3"),  # type: ignore[arg-type]
            "give_up_after_attempts is '3': expected a number",
        ),
    ],
)
def test_a_policy_of_wrong_types_is_refused(make: Callable[[], object], told: str) -> None:
    """As one of impossible numbers is."""
    with pytest.raises(ValueError, match=told):
        make()
