"""What a component may do to heal itself: pace, limits and patience, validated once."""

from dataclasses import dataclass, field

from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.values import is_count, is_positive


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

    Raises ValueError, naming the field and its value, where the numbers contradict each other.
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
        for name, kind in (("backoff", Backoff), ("budget", Budget), ("enforce", bool)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ValueError(f"{name} is {value!r}: expected a {kind.__name__}")  # noqa: TRY004 - one error for all that is impossible
        for name in (
            "stable_for_s",
            "verify_for_s",
            "start_deadline_s",
            "teardown_s",
            "probe_every_s",
            "give_up_after_s",
        ):
            value = getattr(self, name)
            optional = name == "give_up_after_s"
            if not (is_positive(value) or (optional and value is None)):
                raise ValueError(f"{name} is {value!r}: expected a duration above 0")
        attempts = self.give_up_after_attempts
        if attempts is not None and not is_count(attempts):
            raise ValueError(
                f"give_up_after_attempts is {attempts!r}: expected a number from 1 on, or None"
            )
        if self.verify_for_s >= self.start_deadline_s:
            raise ValueError(
                f"verify_for_s is {self.verify_for_s}: expected less than "
                f"start_deadline_s ({self.start_deadline_s})"
            )
        soonest_s = self.soonest_spent_s()
        if soonest_s > self.budget.within_s:
            raise ValueError(
                f"budget allows {self.budget.restarts} restarts within {self.budget.within_s:g} s, "
                f"but the backoff spreads them over at least {soonest_s:g} s: "
                "the limit can never be reached"
            )

    def soonest_spent_s(self) -> float:
        """Return the least time in which failures can exceed the budget.

        The first retry may be immediate (TRANSIENT); each later one waits its shortest delay.
        """
        return sum(self.backoff.shortest_s(n) for n in range(1, self.budget.restarts))
