"""A breaker on a clock that the test moves, with chance at its middle: what the scripts drive."""

from typing import Unpack

from stream_manager.recovery import (
    Breaker,
    BreakerPolicy,
    BreakerRules,
    BreakerState,
    Outcome,
    Permit,
    Transition,
)

BEGINNING_S = 1000.0


class BreakerScript:
    """Calls in, transitions out. `chance` is what the next draws return."""

    def __init__(self, **rules: Unpack[BreakerRules]) -> None:
        self.now_s = BEGINNING_S
        self.chance = 0.5
        self.told: list[Transition] = []
        self.breaker = Breaker(
            "camera-api",
            BreakerPolicy(**rules),
            now_s=self.now_s,
            chance=lambda: self.chance,
            tell=self.told.append,
        )

    @property
    def state(self) -> BreakerState:
        """Where the breaker stands."""
        return self.breaker.state

    @property
    def went(self) -> list[tuple[str, str, str]]:
        """From where, by what, to where: every transition so far."""
        return [(it.before.value, it.trigger.value, it.after.value) for it in self.told]

    def admit(self) -> Permit:
        """Return the permit of a call that must be admitted."""
        permit = self.breaker.admit(self.now_s)
        assert permit is not None
        return permit

    def refused(self) -> bool:
        """Tell whether a call is rejected."""
        return self.breaker.admit(self.now_s) is None

    def settle(self, permit: Permit, outcome: Outcome, took_s: float = 0.0) -> None:
        """Bring a call's outcome."""
        cause = "OSError: gone" if outcome is Outcome.FAILURE else None
        self.breaker.settle(permit, outcome, now_s=self.now_s, took_s=took_s, cause=cause)

    def calls(self, outcomes: str, took_s: float = 0.0) -> None:
        """Make a call for each letter: S success, F failure, I ignored, C cancelled."""
        kinds = {outcome.value[0].upper(): outcome for outcome in Outcome}
        for letter in outcomes:
            self.settle(self.admit(), kinds[letter], took_s)

    def open_time_passes(self) -> None:
        """Move to the instant from which the next call is a probe."""
        self.now_s = self.breaker.shut_until_s

    def half_open(self) -> Permit:
        """Trip it, let the open time pass, and return the first probe's permit."""
        self.calls("FFFFF")
        self.open_time_passes()
        return self.admit()
