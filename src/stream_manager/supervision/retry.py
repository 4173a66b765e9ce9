"""Retry for any call, sync or async: paced, bounded, and by one layer only."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps
from math import inf
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar

from stream_manager.clock import Clock, SystemClock, chance
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.checks import (
    given,
    refuse,
    require_counts,
    require_durations,
    require_functions,
    require_kind,
)
from stream_manager.supervision.attempts import FailedAttempt, GaveUp
from stream_manager.supervision.guarded import name_of, refuse_coroutine, runs_async
from stream_manager.supervision.retry_budget import RetryBudget
from stream_manager.supervision.scope import Scope, current

P = ParamSpec("P")
T = TypeVar("T")

FOR_CALLS = Backoff(base_s=0.1, cap_s=5.0, jitter="full")

logger = logging.getLogger(__name__)


def retry_after_s(error: Exception) -> float | None:
    """Return the attribute `retry_after_s`, which `CircuitOpenError` has and others may have."""
    return getattr(error, "retry_after_s", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Calls again what failed with an error of `on`; as `retry` it is a decorator.

    attempts: the most calls, the first included.
    backoff: how long to wait between them.
    deadline_s: from the first attempt on; no wait passes it, nor one that is inherited. It
        interrupts nothing: a call needs a timeout of its own, such as `remaining_s()`.
    budget: what all who call the same resource may retry together.
    retry_after: gives the seconds that the error itself asks for instead of the backoff's, or
        None; more than `retry_after_at_most_s` is cut to it.
    watch: told of each failed attempt. What it raises is logged, and changes nothing.

    Only the outermost layer retries: inside another retry's call it calls once. Cancellation and
    whatever else is no Exception always goes through. In the end the error of the last attempt is
    raised, as it is, with a note of how many attempts there were, and in what time.
    Raises ValueError, naming the field and its value, where the numbers contradict each other.
    """

    on: tuple[type[Exception], ...]
    attempts: int = 5
    backoff: Backoff = FOR_CALLS
    deadline_s: float | None = None
    budget: RetryBudget | None = None
    retry_after: Callable[[Exception], float | None] = retry_after_s
    retry_after_at_most_s: float = 60.0
    watch: Callable[[FailedAttempt], None] | None = None
    clock: Clock = field(default_factory=SystemClock)
    chance: Callable[[], float] = chance

    def __post_init__(self) -> None:
        if not _are_errors(self.on):
            refuse("on", self.on, "a tuple of subclasses of Exception")
        require_counts(1, attempts=self.attempts)
        require_durations(
            retry_after_at_most_s=self.retry_after_at_most_s,
            **given(deadline_s=self.deadline_s),
        )
        require_kind(Backoff, backoff=self.backoff)
        require_kind(RetryBudget, **given(budget=self.budget))
        require_functions(
            retry_after=self.retry_after, chance=self.chance, **given(watch=self.watch)
        )
        shortest_s = self.backoff.shortest_s(0)
        if self.deadline_s is not None and self.attempts > 1 and self.deadline_s <= shortest_s:
            raise ValueError(
                f"deadline_s is {self.deadline_s}: the first retry waits at least "
                f"{shortest_s:g} s, so there would never be one"
            )

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return `function`, sync or async as it is, with its calls retried."""
        if runs_async(function, "retry"):
            retried: Any = self._around_async(function)  # type: ignore[arg-type]
        else:
            retried = self._around(function)
        return wraps(function)(retried)

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` until it returns, or until there is no further attempt."""
        return self._around(function)(*args, **kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await `function` until it returns, or until there is no further attempt."""
        return await self._around_async(function)(*args, **kwargs)

    def _around(self, function: Callable[P, T]) -> Callable[P, T]:
        def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            run = _Run(self)
            try:
                current.set(run)
                while True:
                    try:
                        result = function(*args, **kwargs)
                        break
                    except self.on as error:
                        delay_s = run.next_delay_s(error, function)
                        if delay_s is None:
                            raise
                        self.clock.pause(delay_s)
                        if not run.goes_on(error, function):
                            raise
            finally:
                run.over = True
            if isinstance(result, CoroutineType):
                refuse_coroutine(result, function, "retry")
            return result

        return retried

    def _around_async(
        self, function: Callable[P, Awaitable[T]]
    ) -> Callable[P, Coroutine[None, None, T]]:
        async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            run = _Run(self)
            try:
                current.set(run)
                while True:
                    try:
                        return await function(*args, **kwargs)
                    except self.on as error:
                        delay_s = run.next_delay_s(error, function, cancelled=_being_cancelled())
                        if delay_s is None:
                            raise
                        await self.clock.sleep(delay_s)
                        if not run.goes_on(error, function):
                            raise
            finally:
                run.over = True

        return retried


retry = Retry


class _Run(Scope):
    """One call with its attempts; nested in another's, it has one attempt and tells nothing."""

    __slots__ = ("_began_s", "_delay_s", "_nested", "_number", "_policy")

    def __init__(self, policy: Retry) -> None:
        outer = current.get()
        while outer is not None and outer.over:  # as `around` does, but without a call's price
            outer = outer.outer
        now_s = policy.clock.monotonic_s()
        deadline_s = inf if policy.deadline_s is None else now_s + policy.deadline_s
        if outer is None:
            self._nested = False
            self.deadline_s = deadline_s
        else:
            self._nested = outer.retries
            self.deadline_s = min(deadline_s, outer.deadline_s)
        self.outer = outer
        self.over = False
        self.retries = True
        self._policy = policy
        self._began_s = now_s
        self._delay_s = 0.0
        self._number = 1
        if policy.budget is not None and not self._nested:
            policy.budget.request()

    def next_delay_s(
        self, error: Exception, function: Callable[..., object], *, cancelled: bool = False
    ) -> float | None:
        """Return how long to wait before the next attempt; None if this was the last one."""
        if self._nested:
            return None
        delay_s = self._wait_s(error)
        gave_up = GaveUp.CANCELLED if cancelled else self._refuses(delay_s)
        if gave_up is not None:
            self._give_up(gave_up, error, function)
            return None
        self._delay_s = delay_s
        self._tell(error, function, delay_s=delay_s)
        return delay_s

    def goes_on(self, error: Exception, function: Callable[..., object]) -> bool:
        """Begin the next attempt, unless the wait for it took longer than asked, too long."""
        if self._policy.clock.monotonic_s() >= self.deadline_s:
            self._give_up(GaveUp.DEADLINE, error, function)
            return False
        self._number += 1
        return True

    def _refuses(self, delay_s: float) -> GaveUp | None:
        """Return why there is no attempt after this delay; None, and it is paid for, if so."""
        policy = self._policy
        if self._number >= policy.attempts:
            return GaveUp.ATTEMPTS
        if policy.clock.monotonic_s() + delay_s >= self.deadline_s:
            return GaveUp.DEADLINE
        if policy.budget is not None and not policy.budget.take():
            return GaveUp.BUDGET
        return None

    def _wait_s(self, error: Exception) -> float:
        """Return the delay that the error asks for, within bounds, or else the backoff's."""
        policy = self._policy
        try:
            asked_s = policy.retry_after(error)
            if asked_s is not None and asked_s >= 0:
                return min(asked_s, policy.retry_after_at_most_s)
        except Exception:
            logger.exception("retry_after failed for %r: the backoff paces instead", error)
        return policy.backoff.delay_s(self._number - 1, policy.chance, self._delay_s)

    def _give_up(self, why: GaveUp, error: Exception, function: Callable[..., object]) -> None:
        """Tell that this attempt was the last one, and write it to its error."""
        self._tell(error, function, gave_up=why)
        times = "1 attempt" if self._number == 1 else f"{self._number} attempts"
        error.add_note(
            f"retry gave up after {times} in {self._elapsed_s():.3g} s: {self._said(why)}"
        )

    def _said(self, why: GaveUp) -> str:
        policy = self._policy
        match why:
            case GaveUp.ATTEMPTS:
                return f"attempts={policy.attempts}"
            case GaveUp.DEADLINE:
                return f"the next attempt would pass the deadline ({self._left_s():.3g} s left)"
            case GaveUp.BUDGET:
                return f"{policy.budget} is spent"
            case _:  # cancelled
                return "its task is being cancelled"

    def _tell(
        self,
        error: Exception,
        function: Callable[..., object],
        *,
        delay_s: float | None = None,
        gave_up: GaveUp | None = None,
    ) -> None:
        if self._policy.watch is None:
            return
        attempt = FailedAttempt(
            function=name_of(function),
            number=self._number,
            attempts=self._policy.attempts,
            error=error,
            elapsed_s=self._elapsed_s(),
            delay_s=delay_s,
            gave_up=gave_up,
        )
        try:
            self._policy.watch(attempt)
        except Exception:
            logger.exception("what watches the retries of %s failed", attempt.function)

    def _elapsed_s(self) -> float:
        return self._policy.clock.monotonic_s() - self._began_s

    def _left_s(self) -> float:
        return max(0.0, self.deadline_s - self._policy.clock.monotonic_s())


def _are_errors(on: object) -> bool:
    """Tell whether `on` is what `except` takes, and takes no cancellation with it."""
    return (
        isinstance(on, tuple)
        and len(on) > 0
        and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in on)
    )


def _being_cancelled() -> bool:
    """Tell whether this task was asked to end: some libraries make an error of that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
