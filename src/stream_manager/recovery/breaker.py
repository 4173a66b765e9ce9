"""A circuit breaker as a pure machine: permits go out, outcomes come back, transitions are told.

Rules:
- Each transition begins a new generation. An outcome that belongs to an older one is counted as
  late and changes nothing else: who started before a transition knows nothing of what came after.
- CLOSED counts outcomes until a limit is reached; OPEN admits nothing for its open time; then the
  next call makes it HALF_OPEN, which admits a few probes. So many successes close it, any failure
  or slow call reopens it for longer, and a probe whose lease runs out has failed.
- Ignored and cancelled calls give their permit back and decide nothing.
- FORCED_OPEN is a person's; only a reset ends it.
"""

from collections.abc import Callable, Mapping
from math import inf

from stream_manager.errors import InvariantError
from stream_manager.recovery.breaker_policy import WINDOW_S, BreakerPolicy
from stream_manager.recovery.breaker_states import (
    TABLE,
    BreakerState,
    Outcome,
    Permit,
    Probe,
    Transition,
    Trigger,
)
from stream_manager.recovery.window import CountWindow, Tally, TimeWindow, Window


class Breaker:
    """One breaker. Instants are monotonic seconds; reading changes nothing.

    chance draws from [0, 1); tell is called with each transition and must not call back.

    Its methods need the owner's lock where threads share it. Two things are made to be done
    without: to take `free_pass` for a permit while it is not 0, and to count a success by
    `window.good += 1` while the permit equals `carefree` and `window.until_s` is ahead. And a call
    before `shut_until_s` is always to be rejected.
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        *,
        now_s: float,
        chance: Callable[[], float],
        tell: Callable[[Transition], None],
    ) -> None:
        self.name = name
        self.policy = policy
        self.state = BreakerState.CLOSED
        self.generation = 1
        self.rejected = 0
        self.late_results = 0
        self.last_cause: str | None = None
        self.reopens = 0
        self.consecutive = 0
        self.shut_until_s = -inf
        # The generation while every call is admitted, and while a success is merely counted; or 0.
        self.free_pass = self.generation
        self.carefree = 0
        self.slow_call_s = inf if policy.slow_call_s is None else policy.slow_call_s
        self.window = self.new_window(now_s)
        self.probes: dict[int, Probe] = {}  # by id, so the one with the earliest deadline is first
        self.probe_successes = 0
        self.closed_at_s = -inf
        self._chance = chance
        self._tell = tell
        self._consecutive_limit = policy.consecutive_limit or inf
        self._failure_limit = policy.failure_limit or inf
        self._slow_limit = policy.slow_limit or inf
        self._minimum = policy.minimum
        self._open_time = policy.open_time
        self._last_probe = 0
        self._step = 0
        self._step_calls = 0
        self.find_carefree()

    def admit(self, now_s: float) -> Permit | None:
        """Return a permit, or None for a call that is rejected (in a dry run: would be)."""
        self._collect_lost(now_s)
        if self.state is BreakerState.OPEN and now_s >= self.shut_until_s:
            self._change(Trigger.OPEN_TIME_OVER, now_s, {"reopens": self.reopens})
        permit: Permit | None = None
        if self.state is BreakerState.CLOSED:
            permit = self.generation if self._ramp_allows(now_s) else None
        elif self.state is BreakerState.HALF_OPEN:
            permit = self._new_probe(now_s)
        self.rejected += permit is None
        return permit

    def settle(
        self,
        permit: Permit,
        outcome: Outcome,
        *,
        now_s: float,
        took_s: float = 0.0,
        cause: str | None = None,
    ) -> None:
        """Take the outcome of a call that was admitted; cause: the failure's text."""
        self._collect_lost(now_s)
        generation = permit if isinstance(permit, int) else permit.generation
        if generation != self.generation or not self._give_back(permit):
            self.late_results += 1
            return
        if outcome is Outcome.FAILURE:
            self.last_cause = cause
        elif outcome is not Outcome.SUCCESS:
            return
        failed, slow = outcome is Outcome.FAILURE, took_s >= self.slow_call_s
        if self.state is BreakerState.CLOSED:
            self._count(now_s, failed=failed, slow=slow)
        else:
            self._judge_probe(now_s, took_s, failed=failed, slow=slow)

    def force_open(self, now_s: float) -> None:
        """Reject every call until a reset."""
        self._change(Trigger.FORCED_OPEN, now_s, {})

    def reset(self, now_s: float) -> None:
        """Close, with counters at zero; along the ramp, if it was not closed."""
        self._change(Trigger.RESET, now_s, {})

    def retry_after_s(self, now_s: float) -> float | None:
        """Return how long a call that is rejected now should wait; None: nobody can tell."""
        if self.state is BreakerState.OPEN:
            return max(0.0, self.shut_until_s - now_s)
        if self.state is BreakerState.CLOSED and self.policy.ramp is not None:
            next_step_s = self.closed_at_s + (self._step + 1) * self.policy.ramp.step_s
            return max(0.0, next_step_s - now_s)
        return None

    def tally(self, now_s: float) -> Tally:
        """Return what the window holds."""
        return self.window.tally(now_s)

    def find_carefree(self) -> None:
        """Find out whether a success, while closed, could decide anything now."""
        calm = self.consecutive == 0 and self.window.dilutes()
        self.carefree = self.generation if calm else 0

    def new_window(self, now_s: float) -> Window:
        """Return an empty window of the policy's kind."""
        policy = self.policy
        if policy.window_calls is not None:
            return CountWindow(policy.window_calls)
        window_s = WINDOW_S if policy.window_s is None else policy.window_s
        return TimeWindow(window_s, policy.minimum, now_s)

    def _ramp_allows(self, now_s: float) -> bool:
        """Tell whether the ramp's present step has room, and end a ramp that is over."""
        ramp, since_s = self.policy.ramp, now_s - self.closed_at_s
        if ramp is None or since_s >= ramp.lasts_s:
            self.free_pass = self.generation
            return True
        step = int(since_s / ramp.step_s)
        if step > self._step:
            self._step, self._step_calls = step, 0
        if self._step_calls >= ramp.allowed(self._step):
            return False
        self._step_calls += 1
        return True

    def _new_probe(self, now_s: float) -> Probe | None:
        if len(self.probes) >= self.policy.max_concurrent:
            return None
        self._last_probe += 1
        probe = Probe(
            generation=self.generation,
            id=self._last_probe,
            deadline_s=now_s + self.policy.probe_lease_s,
        )
        self.probes[probe.id] = probe
        return probe

    def _give_back(self, permit: Permit) -> bool:
        return isinstance(permit, int) or self.probes.pop(permit.id, None) is not None

    def _collect_lost(self, now_s: float) -> None:
        """Reopen if a probe's lease has run out, from when it did: open time runs since then."""
        if self.probes and now_s >= (over_s := next(iter(self.probes.values())).deadline_s):
            self._change(Trigger.PROBE_LOST, over_s, {"probe_lease_s": self.policy.probe_lease_s})

    def _count(self, now_s: float, *, failed: bool, slow: bool) -> None:
        self.consecutive = self.consecutive + 1 if failed else 0
        self.window.count(now_s, failed=failed, slow=slow)
        tally = self.window.tally(now_s)
        enough = tally.calls >= self._minimum
        if self.consecutive >= self._consecutive_limit:
            saw = {"consecutive": self.consecutive, "limit": self._consecutive_limit}
            self._change(Trigger.CONSECUTIVE, now_s, saw)
        elif enough and tally.failure_rate >= self._failure_limit:
            saw = {"calls": tally.calls, "failures": tally.failures, "limit": self._failure_limit}
            self._change(Trigger.FAILURE_RATE, now_s, saw)
        elif enough and tally.slow_rate >= self._slow_limit:
            saw = {"calls": tally.calls, "slow": tally.slow, "limit": self._slow_limit}
            self._change(Trigger.SLOW_RATE, now_s, saw)
        else:
            self.find_carefree()

    def _judge_probe(self, now_s: float, took_s: float, *, failed: bool, slow: bool) -> None:
        if failed:
            self._change(Trigger.PROBE_FAILED, now_s, {"successes": self.probe_successes})
        elif slow:
            saw = {"took_s": took_s, "limit": self.slow_call_s}
            self._change(Trigger.PROBE_SLOW, now_s, saw)
        else:
            self.probe_successes += 1
            if self.probe_successes >= self.policy.successes_to_close:
                saw = {"successes": self.probe_successes}
                self._change(Trigger.PROBES_SUCCEEDED, now_s, saw)

    def _change(self, trigger: Trigger, now_s: float, saw: Mapping[str, float]) -> None:
        """Begin a new generation in the state that the table gives. Raises InvariantError."""
        before, after = self.state, TABLE[self.state, trigger]
        if after is None:
            raise InvariantError(f"breaker {self.name!r}: {trigger.value} while {before.value}")
        # Nothing passes by the lock while this goes on.
        self.free_pass = self.carefree = 0
        self.state = after
        self.generation += 1
        self.probes.clear()
        self.probe_successes = self.consecutive = 0
        self.shut_until_s = inf if after is BreakerState.FORCED_OPEN else -inf
        if after is BreakerState.OPEN:
            saw = {**saw, **self._open(now_s, again=before is BreakerState.HALF_OPEN)}
        elif after is BreakerState.CLOSED:
            self._close(now_s, ramping=before is not BreakerState.CLOSED)
        self._tell(
            Transition(
                name=self.name,
                generation=self.generation,
                trigger=trigger,
                before=before,
                after=after,
                at_s=now_s,
                saw=saw,
                retry_at_s=self.shut_until_s if after is BreakerState.OPEN else None,
                cause=self.last_cause,
                enforced=self.policy.enforce,
            )
        )

    def _open(self, now_s: float, *, again: bool) -> Mapping[str, float]:
        self.reopens += again
        open_for_s = self._open_time.delay_s(self.reopens, self._chance)
        self.shut_until_s = now_s + open_for_s
        return {"reopens": self.reopens, "open_for_s": open_for_s}

    def _close(self, now_s: float, *, ramping: bool) -> None:
        self.reopens = 0
        self.window = self.new_window(now_s)
        self.find_carefree()
        self._step = self._step_calls = 0
        self.closed_at_s = now_s if ramping else -inf
        self.free_pass = 0 if ramping else self.generation
