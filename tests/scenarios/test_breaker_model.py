"""Whatever callers do, the breaker does what a small model says that remembers everything.

The clock moves in whole seconds and every span of the policies is a whole number of them, so that
the model needs no buckets: a call is in the time window if it is younger than the window.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from stream_manager.recovery import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Outcome,
    Permit,
    Probe,
    Ramp,
    Transition,
)

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState
RAMP = Ramp(first_calls=2, cap_calls=3, step_s=1.0, lasts_s=4.0)
SLOW_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A policy as the model reads it."""

    row: int = 10**9
    share: float = 2.0
    slow_share: float = 2.0
    least: int = 10**9
    calls: int | None = None
    places: int = 1
    needed: int = 2
    ramped: bool = True


POLICIES = (
    (Rules(row=3), {"consecutive_failures": 3}),
    (
        Rules(share=0.5, least=4, places=2),
        {"failure_rate": 0.5, "min_calls": 4, "max_concurrent": 2},
    ),
    (
        Rules(share=0.6, slow_share=0.5, least=3, needed=1, ramped=False),
        {
            "failure_rate": 0.6,
            "min_calls": 3,
            "slow_call_s": SLOW_S,
            "slow_rate": 0.5,
            "successes_to_close": 1,
            "ramp": None,
        },
    ),
    (
        Rules(share=0.5, least=5, calls=5, places=3),
        {"failure_rate": 0.5, "window_calls": 5, "max_concurrent": 3},
    ),
    (
        Rules(row=2, share=0.4, slow_share=0.75, least=2, calls=3),
        {
            "consecutive_failures": 2,
            "failure_rate": 0.4,
            "min_calls": 2,
            "window_calls": 3,
            "slow_call_s": SLOW_S,
            "slow_rate": 0.75,
        },
    ),
)
SPANS = {"open_s": 4.0, "open_cap_s": 16.0, "probe_lease_s": 5.0}
WINDOW_S = 10.0


@dataclass(eq=False)
class Ticket:
    """The model's permit: in which era it was given, and until when a probe may take."""

    era: int
    deadline_s: float | None = None


@dataclass
class Model:
    """A breaker that keeps lists and counts them anew each time."""

    rules: Rules
    timed: bool
    state: BreakerState = CLOSED
    era: int = 0
    until_s: float = 0.0
    reopens: int = 0
    history: list[tuple[float, bool, bool]] = field(default_factory=list)
    out: list[Ticket] = field(default_factory=list)
    proven: int = 0
    closed_s: float | None = None
    let_in: list[int] = field(default_factory=list)
    late: int = 0
    refused: int = 0

    def enter(self, state: BreakerState, now_s: float) -> None:
        """Begin a new era."""
        before, self.state = self.state, state
        self.era += 1
        self.out, self.proven, self.let_in = [], 0, []
        if state is OPEN:
            self.reopens += before is HALF_OPEN
            self.until_s = now_s + min(16.0, 4.0 * 2**self.reopens) / 2
        if state is CLOSED:
            self.reopens, self.history = 0, []
            self.closed_s = None if before is CLOSED else now_s

    def lose(self, now_s: float) -> None:
        """Reopen if a probe has been out too long, from when it was."""
        over_s = [it.deadline_s for it in self.out if it.deadline_s is not None]
        if over_s and min(over_s) <= now_s:
            self.enter(OPEN, min(over_s))

    def admit(self, now_s: float) -> Ticket | None:
        """Return a ticket, or None."""
        self.lose(now_s)
        if self.state is OPEN and now_s >= self.until_s:
            self.enter(HALF_OPEN, now_s)
        if self.state is CLOSED and self.room(now_s):
            return Ticket(self.era)
        if self.state is HALF_OPEN and len(self.out) < self.rules.places:
            ticket = Ticket(self.era, now_s + 5.0)
            self.out.append(ticket)
            return ticket
        self.refused += 1
        return None

    def room(self, now_s: float) -> bool:
        """Tell whether the ramp has room."""
        if not self.rules.ramped or self.closed_s is None or now_s - self.closed_s >= 4:
            return True
        step = int(now_s - self.closed_s)
        if self.let_in.count(step) >= (2, 3, 3, 3)[step]:
            return False
        self.let_in.append(step)
        return True

    def settle(self, ticket: Ticket, outcome: Outcome, now_s: float, *, slow: bool) -> None:
        """Take a call's outcome."""
        self.lose(now_s)
        if ticket.era != self.era:
            self.late += 1
            return
        if ticket in self.out:
            self.out.remove(ticket)
        if outcome in {Outcome.IGNORED, Outcome.CANCELLED}:
            return
        failed = outcome is Outcome.FAILURE
        slow = slow and self.timed
        if self.state is HALF_OPEN:
            self.proven += 1
            if failed or slow:
                self.enter(OPEN, now_s)
            elif self.proven == self.rules.needed:
                self.enter(CLOSED, now_s)
            return
        self.history.append((now_s, failed, slow))
        if self.bad(now_s):
            self.enter(OPEN, now_s)

    def bad(self, now_s: float) -> bool:
        """Tell whether it has to open."""
        row = 0
        for _, failed, _ in reversed(self.history):
            if not failed:
                break
            row += 1
        calls, failures, slow = self.tally(now_s)
        return row >= self.rules.row or (
            calls >= self.rules.least
            and (failures / calls >= self.rules.share or slow / calls >= self.rules.slow_share)
        )

    def tally(self, now_s: float) -> tuple[int, int, int]:
        """Count what the window holds."""
        if self.rules.calls is None:
            held = [it for it in self.history if it[0] > now_s - WINDOW_S]
        else:
            held = self.history[-self.rules.calls :]
        return len(held), sum(it[1] for it in held), sum(it[2] for it in held)


class BreakerWorld(RuleBasedStateMachine):
    """The breaker and the model live through the same calls."""

    permits = Bundle("permits")

    @initialize(choice=st.sampled_from(POLICIES))
    def begin(self, choice: tuple[Rules, dict[str, object]]) -> None:
        """Make both by the same rules."""
        rules, given = choice
        policy: dict[str, object] = {**SPANS, "ramp": RAMP, **given}
        if rules.calls is None:
            policy["window_s"] = WINDOW_S
        self.now_s = 100.0
        self.told: list[Transition] = []
        self.breaker = Breaker(
            "x",
            BreakerPolicy(**policy),  # type: ignore[arg-type]
            now_s=self.now_s,
            chance=lambda: 0.0,
            tell=self.told.append,
        )
        self.model = Model(rules, timed="slow_call_s" in given)

    @rule(target=permits)
    def call(self) -> tuple[Permit, Ticket] | None:
        """Both admit, or both reject."""
        permit: Permit | None = self.breaker.free_pass or self.breaker.admit(self.now_s)
        ticket = self.model.admit(self.now_s)
        assert (permit is None) == (ticket is None)
        assert isinstance(permit, Probe) == (ticket is not None and ticket.deadline_s is not None)
        return None if permit is None or ticket is None else (permit, ticket)

    @rule(
        pair=permits,
        outcome=st.sampled_from([*Outcome, Outcome.FAILURE, Outcome.FAILURE]),
        slow=st.booleans(),
        by_lock=st.booleans(),
    )
    def result(
        self, pair: tuple[Permit, Ticket] | None, outcome: Outcome, *, slow: bool, by_lock: bool
    ) -> None:
        """A result comes back, early or late, more than once for a closed breaker's permit."""
        if pair is None:
            return
        permit, ticket = pair
        settled = ticket.era == self.model.era and ticket not in self.model.out
        if ticket.deadline_s is not None and settled:
            return  # what becomes of a probe's second result is tested by itself
        took_s = SLOW_S if slow else 0.0
        breaker = self.breaker
        window = breaker.window
        free = permit == breaker.carefree and self.now_s < window.until_s
        if outcome is Outcome.SUCCESS and free and took_s < breaker.slow_call_s and not by_lock:
            window.good += 1
        else:
            breaker.settle(permit, outcome, now_s=self.now_s, took_s=took_s)
        self.model.settle(ticket, outcome, self.now_s, slow=slow)

    @rule(outcome=st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE]), times=st.integers(1, 5))
    def calls(self, outcome: Outcome, times: int) -> None:
        """Some calls one after the other, each with its result."""
        for _ in range(times):
            self.result(self.call(), outcome, slow=False, by_lock=False)

    @rule(seconds=st.sampled_from([1, 1, 2, 3, 5, 8, 11, 100]))
    def time_passes(self, seconds: int) -> None:
        """Nobody calls."""
        self.now_s += seconds

    @rule()
    def open_time_passes(self) -> None:
        """Nobody calls until the next call is a probe."""
        if self.model.state is OPEN:
            self.now_s = max(self.now_s, self.model.until_s)

    @rule()
    def force_open(self) -> None:
        """A person opens both."""
        self.breaker.force_open(self.now_s)
        self.model.enter(FORCED_OPEN, self.now_s)

    @rule()
    def reset(self) -> None:
        """A person closes both."""
        self.breaker.reset(self.now_s)
        self.model.enter(CLOSED, self.now_s)

    @invariant()
    def agree(self) -> None:
        """They say the same of everything."""
        breaker, model = self.breaker, self.model
        assert breaker.state is model.state
        assert breaker.generation == model.era + 1 == len(self.told) + 1
        assert (breaker.late_results, breaker.rejected) == (model.late, model.refused)
        assert len(breaker.probes) == len(model.out) <= model.rules.places
        if model.state is OPEN:
            assert breaker.shut_until_s == model.until_s
        if model.state is CLOSED:
            tally, held = breaker.tally(self.now_s), model.tally(self.now_s)
            assert (tally.calls, tally.failures, tally.slow) == held


TestBreakerWorld = BreakerWorld.TestCase
TestBreakerWorld.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
