"""What a component may do to heal itself: pace, limits and patience, validated once."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.checks import (
    given,
    refuse,
    require_counts,
    require_durations,
    require_kind,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPolicy:
    """The rules of one component's recovery. Durations are seconds.

    stable_for_s: continuous health, counted from proof and not from start, that forgives.
    verify_for_s: how long media must advance before a run counts as recovered.
    start_deadline_s: from a start to its proof; past it the start has failed.
    teardown_s: how long a teardown may take before something harsher ends it.
    give_up_after_attempts (retries, the first start is none), give_up_after_s (since the first of
        these faults): whichever is set ends in FAILED; None is never.
    probe_every_s: how often FAILED is tried again, where the rule that led there allows it.
    enforce: False for a dry run: a spent budget, poison and `give_up_after` end nothing; it is told
        what they would have ended, and the backoff goes on. FATAL is no limit, and stays.

    Raises ValueError, naming the field and its value, where the numbers contradict each other;
    of what is merely odd `Supervisor.add` warns.
    """

    backoff: Backoff = field(default_factory=Backoff)
    budget: Budget = field(default_factory=Budget)
    stable_for_s: float = 60.0
    verify_for_s: float = 1.0
    start_deadline_s: float = 15.0
    teardown_s: float = 2.0
    give_up_after_attempts: int | None = None
    give_up_after_s: float | None = None
    probe_every_s: float = 300.0
    enforce: bool = True

    def __post_init__(self) -> None:
        require_kind(Backoff, backoff=self.backoff)
        require_kind(Budget, budget=self.budget)
        require_durations(
            stable_for_s=self.stable_for_s,
            verify_for_s=self.verify_for_s,
            start_deadline_s=self.start_deadline_s,
            teardown_s=self.teardown_s,
            probe_every_s=self.probe_every_s,
            **given(give_up_after_s=self.give_up_after_s),
        )
        require_counts(1, **given(give_up_after_attempts=self.give_up_after_attempts))
        require_kind(bool, enforce=self.enforce)
        if self.verify_for_s >= self.start_deadline_s:
            allowed = f"less than start_deadline_s ({self.start_deadline_s})"
            refuse("verify_for_s", self.verify_for_s, allowed)
        soonest_s = soonest_spent_s(self.backoff, self.budget.restarts)
        if soonest_s > self.budget.within_s:
            raise ValueError(
                f"budget allows {self.budget.restarts} restarts within {self.budget.within_s:g} s, "
                f"but the backoff spreads them over at least {soonest_s:g} s: "
                "the limit can never be reached"
            )

    def oddities(self) -> Iterator[str]:
        """Yield what is possible but hardly meant, one sentence each."""
        if self.stable_for_s < 2 * self.backoff.cap_s:
            yield (
                f"stable_for_s is {self.stable_for_s}, less than twice cap_s "
                f"({self.backoff.cap_s}): what fails again and again may be forgiven in between"
            )
        attempts, within_s = self.give_up_after_attempts, self.give_up_after_s
        if attempts is not None and within_s is not None:
            soonest_s = soonest_spent_s(self.backoff, attempts - 1)
            if soonest_s >= within_s:
                yield (
                    f"give_up_after_attempts is {attempts}, but the last of them begins after "
                    f"{soonest_s:g} s at the soonest: give_up_after_s ({within_s}) comes first"
                )


def soonest_spent_s(backoff: Backoff, restarts: int) -> float:
    """Return the least time in which there can be one failure more than so many restarts.

    The first retry may be immediate (TRANSIENT); each later one waits its shortest delay.
    """
    return backoff.shortest_sum_s(1, restarts)
