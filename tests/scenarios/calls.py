"""Calls through a circuit breaker that come back late, twice or never; it is held to its laws."""

from collections.abc import Callable

from stream_manager.recovery import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Outcome,
    Permit,
    Probe,
    Ramp,
    Transition,
    Trigger,
    transition_in_words,
)
from stream_manager.recovery.breaker_saved import restore, save
from stream_manager.recovery.breaker_states import TABLE

POLICIES = (
    BreakerPolicy(ramp=Ramp(first_calls=2, cap_calls=4, step_s=1.0, lasts_s=4.0)),
    BreakerPolicy(consecutive_failures=2, max_concurrent=2, open_cap_s=20.0, ramp=None),
    BreakerPolicy(failure_rate=0.5, min_calls=3, successes_to_close=1),
    BreakerPolicy(window_calls=4, slow_call_s=1.0, probe_lease_s=5.0),
)
OUTCOMES = (Outcome.FAILURE, Outcome.FAILURE, Outcome.SUCCESS, *Outcome)


class Calls:
    """Callers of one breaker, which is held to the laws by what was seen of it from outside."""

    def __init__(self, policy: BreakerPolicy, chance: Callable[[], float], now_s: float) -> None:
        self._chance = chance
        self._succeeded = 0  # probes since it was last half-open
        self.triggers: set[Trigger] = set()
        self._last: Trigger | None = None
        self.out: list[Permit] = []
        self.breaker = self._made(policy, now_s)
        self._generation = self.breaker.generation

    def _made(self, policy: BreakerPolicy, now_s: float) -> Breaker:
        return Breaker("door", policy, now_s=now_s, chance=self._chance, tell=self._told)

    def play(self, what: str, number: int, now_s: float) -> None:
        """Let one thing happen."""
        match what:
            case "call":
                self._call(now_s)
            case "answer":
                self._answer(number, now_s)
            case "talk":
                for nth in range(2 + number % 3):
                    self._call(now_s)
                    self._answer(number // 3 + nth, now_s)
            case _:  # person
                self._person(number, now_s)

    def _call(self, now_s: float) -> None:
        """Call, and keep the permit if there is one."""
        breaker = self.breaker
        permit = breaker.free_pass or breaker.admit(now_s)
        if permit is not None:
            self.out.append(permit)
        match breaker.state:
            case BreakerState.OPEN:
                assert permit is None, "an open breaker admits nobody"
                assert now_s < breaker.shut_until_s, "its open time ends"
            case BreakerState.FORCED_OPEN:
                assert permit is None, "nor does one that a person opened"
            case BreakerState.HALF_OPEN:
                most = breaker.policy.max_concurrent
                assert len(breaker.probes) <= most, "few probe at a time"
                assert isinstance(permit, Probe) or len(breaker.probes) == most, "but some do"
            case BreakerState.CLOSED:
                assert permit == breaker.generation or breaker.policy.ramp, "closed, it admits"

    def _answer(self, number: int, now_s: float) -> None:
        """Let a call come back, or one that came back before do so again."""
        if not self.out:
            return
        place = number % len(self.out) if number % 4 == 0 else -1
        permit = self.out[place] if number % 5 == 0 else self.out.pop(place)
        outcome, breaker = OUTCOMES[number % len(OUTCOMES)], self.breaker
        state, generation, late = breaker.state, breaker.generation, breaker.late_results
        current = permit == generation or (
            isinstance(permit, Probe) and breaker.probes.get(permit.id) is permit
        )
        self._succeeded += current and state is BreakerState.HALF_OPEN
        tally = breaker.tally(now_s)
        took_s = float(number % 3)
        breaker.settle(permit, outcome, now_s=now_s, took_s=took_s, cause="refused")
        lost = breaker.generation != generation and self._last is Trigger.PROBE_LOST
        if not current:
            assert breaker.late_results == late + 1, "a late result is counted"
            assert lost or breaker.generation == generation, "and decides nothing"
            assert breaker.tally(now_s) == tally, "nor is it remembered"
        elif outcome in {Outcome.IGNORED, Outcome.CANCELLED}:
            assert lost or breaker.generation == generation, "who gave up decides nothing"

    def _person(self, number: int, now_s: float) -> None:
        """Let a person open it, or more often close it."""
        if number % 3 == 0:
            self.breaker.force_open(now_s)
            assert self.breaker.state is BreakerState.FORCED_OPEN
        else:
            self.breaker.reset(now_s)
            assert self.breaker.state is BreakerState.CLOSED

    def crashes(self, *, now_s: float, later_s: float, elapsed_s: float) -> None:
        """Let another process go on from what is saved; calls that are out come back late."""
        saved = save(self.breaker, now_s)
        self.breaker = self._made(self.breaker.policy, later_s)
        restore(self.breaker, saved, now_s=later_s, elapsed_s=elapsed_s)
        self._generation = self.breaker.generation
        assert self.breaker.state is saved.state, "a restart forgives nothing"
        assert self.breaker.reopens == saved.reopens, "nor does it shorten the open time"

    def turn_good(self, now_s: float) -> None:
        """Let every call succeed from now on: whatever was before, it closes."""
        policy = self.breaker.policy
        if self.breaker.state is BreakerState.FORCED_OPEN:
            self.breaker.reset(now_s)
        for _ in range(2 * policy.successes_to_close + 2):
            now_s += policy.open_cap_s + policy.probe_lease_s
            permit = self.breaker.free_pass or self.breaker.admit(now_s)
            if permit is not None:
                self._succeeded += self.breaker.state is BreakerState.HALF_OPEN
                self.breaker.settle(permit, Outcome.SUCCESS, now_s=now_s)
        assert self.breaker.state is BreakerState.CLOSED, "a breaker closes when calls succeed"

    def _told(self, step: Transition) -> None:
        self._last = step.trigger
        self.triggers.add(step.trigger)
        assert TABLE[step.before, step.trigger] is step.after, "the table knows each transition"
        assert step.generation == self._generation + 1, "each transition is a new generation"
        self._generation = step.generation
        assert transition_in_words(step, wall=str), "each has its sentence"
        policy = self.breaker.policy
        if step.retry_at_s is not None:
            shortest_s = min(policy.open_s * 2 ** step.saw["reopens"], policy.open_cap_s) / 2
            open_for_s = step.retry_at_s - step.at_s
            assert shortest_s <= open_for_s + 1e-9, "the open time grows with each reopening"
            assert open_for_s <= policy.open_cap_s + 1e-9, "to its cap"
        if step.after is BreakerState.HALF_OPEN:
            self._succeeded = 0
        elif step.trigger is Trigger.PROBES_SUCCEEDED:
            assert self._succeeded >= policy.successes_to_close, "so many successes close it"
