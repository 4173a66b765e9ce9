"""A circuit breaker around calls, from threads and coroutines, over the pure machine.

The lock is held for the machine's own steps only, never while a guarded call or a listener runs,
and while the breaker is closed and nothing is bad a call needs none.
"""

import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict
from functools import update_wrapper
from math import inf
from threading import RLock
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, Unpack

from stream_manager.clock import Clock, SystemClock
from stream_manager.clock import chance as system_chance
from stream_manager.errors import CircuitOpenError
from stream_manager.recovery.breaker import Breaker
from stream_manager.recovery.breaker_policy import BreakerPolicy, BreakerRules
from stream_manager.recovery.breaker_saved import read, restore, save
from stream_manager.recovery.breaker_states import BreakerState, Outcome, Permit, Transition
from stream_manager.recovery.checks import require_instants, require_kind
from stream_manager.recovery.window import Tally
from stream_manager.supervision.guarded import Errors, catchable, in_words, runs_async
from stream_manager.supervision.listeners import Listeners

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[Transition], None]

# When a call began that nobody times: it has then taken less than any limit.
NEVER_SLOW = inf


class CircuitBreaker:
    """Stops calling what fails, and finds out with few calls when it works again.

    A decorator of functions and coroutine functions, a context manager (`with`, `async with`), and
    `call`. Keywords are the fields of `BreakerPolicy`; bad ones raise ValueError, odd ones warn.
    `ignore`: errors that say nothing about the guarded thing. Anything that is no `Exception`
    (cancellation, Ctrl-C) is neither a failure nor a success.

    A rejected call raises CircuitOpenError; every call that was made raises its own error.
    """

    def __init__(
        self,
        name: str,
        *,
        ignore: Errors = (),
        clock: Clock | None = None,
        chance: Callable[[], float] = system_chance,
        **rules: Unpack[BreakerRules],
    ) -> None:
        policy = BreakerPolicy(**rules)
        for oddity in policy.oddities():
            warnings.warn(f"circuit breaker {name!r}: {oddity}", stacklevel=2)
        require_kind(str, name=name)
        self.name = name
        self._ignore = catchable("ignore", ignore)
        self._clock = SystemClock() if clock is None else clock
        self._now_s = self._clock.monotonic_s
        self._timed = policy.slow_call_s is not None
        self._enforced = policy.enforce
        # Re-entrant: a finaliser may run at any allocation, and may make a guarded call.
        self._lock = RLock()
        self._listeners: Listeners[Transition] = Listeners(f"circuit breaker {name!r}")
        self._breaker = Breaker(
            name, policy, now_s=self._now_s(), chance=chance, tell=self._listeners.put
        )

    @property
    def policy(self) -> BreakerPolicy:
        """The rules it was made with."""
        return self._breaker.policy

    @property
    def state(self) -> BreakerState:
        """The state; to read it changes nothing, so OPEN lasts until a call comes."""
        return self._breaker.state

    @property
    def rejected(self) -> int:
        """The calls that were rejected; in a dry run, that would have been."""
        return self._breaker.rejected

    @property
    def late_results(self) -> int:
        """The results that came after their generation had ended, and so changed nothing."""
        return self._breaker.late_results

    def tally(self) -> Tally:
        """Return the calls of the window, and how many of them failed or were slow."""
        with self._lock:
            return self._breaker.window.tally(self._now_s())

    def on_transition(self, listener: Listener) -> Listener:
        """Call `listener` with every transition, in order; returns it, to serve as a decorator.

        It runs in a thread that uses the breaker. What it raises is logged and changes nothing.
        """
        self._listeners.add(listener)
        return listener

    def force_open(self) -> None:
        """Reject every call until `reset`."""
        with self._lock:
            self._breaker.force_open(self._now_s())
        self._listeners.tell()

    def reset(self) -> None:
        """Close, with all counters at zero."""
        with self._lock:
            self._breaker.reset(self._now_s())
        self._listeners.tell()

    def dump(self) -> dict[str, Any]:
        """Return what should survive a restart, as plain values that JSON can hold."""
        with self._lock:
            saved = asdict(save(self._breaker, self._now_s()))
        return {**saved, "state": saved["state"].value, "at": self._clock.wall().timestamp()}

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Go on where `dump` left off, perhaps in another process; spans run on by the wall clock.

        Raises ValueError for what `dump` can't have returned, and changes nothing then.
        """
        require_kind(Mapping, dumped=dumped)
        values = dict(dumped)
        saved_at_s = values.pop("at", None)
        require_instants(at=saved_at_s)
        elapsed_s = max(0.0, self._clock.wall().timestamp() - saved_at_s)
        saved = read(values)
        with self._lock:
            restore(self._breaker, saved, now_s=self._now_s(), elapsed_s=elapsed_s)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return `function` guarded. Raises UsageError for a generator, whose work comes later."""
        return update_wrapper(self._guarded(function), function)

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` guarded; what a coroutine function returns is to be awaited."""
        return self._guarded(function)(*args, **kwargs)

    def __enter__(self) -> Self:
        permit = self._breaker.free_pass or self._admit()
        began_s = self._now_s() if self._timed else NEVER_SLOW
        _entered.set((self, permit, began_s, _entered.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered = _entered.get()
        if entered is None or entered[0] is not self:
            entered = _on_top(self, entered)
        if entered is None:
            return  # left in another context than entered; a probe's lease sees to that
        _, permit, began_s, before = entered
        _entered.set(before)
        if error is None:
            self._succeeded(permit, began_s)
        else:
            self._failed(permit, began_s, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _guarded(self, function: Callable[..., R]) -> Callable[..., R]:
        if runs_async(function, "a circuit breaker"):
            return self._guarded_async(function)

        def guarded(*args: object, **kwargs: object) -> R:
            permit = self._breaker.free_pass or self._admit()
            began_s = self._now_s() if self._timed else NEVER_SLOW
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._failed(permit, began_s, error)
                raise
            self._succeeded(permit, began_s)
            return result

        return guarded

    def _guarded_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(*args: object, **kwargs: object) -> object:
            permit = self._breaker.free_pass or self._admit()
            began_s = self._now_s() if self._timed else NEVER_SLOW
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                self._failed(permit, began_s, error)
                raise
            self._succeeded(permit, began_s)
            return result

        return guarded

    def _admit(self) -> Permit | None:
        """Return a permit, None for what only a dry run admits. Raises CircuitOpenError."""
        breaker, now_s = self._breaker, self._now_s()
        shut_for_s = breaker.shut_until_s - now_s
        if shut_for_s > 0 and self._enforced:  # without the lock: overload brings most of these
            breaker.rejected += 1
            retry_after_s = shut_for_s if shut_for_s < inf else None
            raise CircuitOpenError(self.name, retry_after_s, breaker.last_cause)
        with self._lock:
            permit = breaker.admit(now_s)
            rejected = permit is None and self._enforced
            retry_after_s = breaker.retry_after_s(now_s) if rejected else None
        self._listeners.tell()
        if rejected:
            raise CircuitOpenError(self.name, retry_after_s, breaker.last_cause)
        return permit

    def _succeeded(self, permit: Permit | None, began_s: float) -> None:
        ended_s = self._now_s()
        breaker = self._breaker
        window = breaker.window
        if (
            permit == breaker.carefree
            and ended_s < window.until_s
            and ended_s - began_s < breaker.slow_call_s
        ):
            window.good += 1
        else:
            self._settle(permit, Outcome.SUCCESS, ended_s, ended_s - began_s)

    def _failed(self, permit: Permit | None, began_s: float, error: BaseException) -> None:
        ended_s = self._now_s()
        if isinstance(error, self._ignore):
            outcome, cause = Outcome.IGNORED, None
        elif isinstance(error, Exception):
            outcome, cause = Outcome.FAILURE, in_words(error)
        else:
            outcome, cause = Outcome.CANCELLED, None
        self._settle(permit, outcome, ended_s, ended_s - began_s, cause)

    def _settle(
        self,
        permit: Permit | None,
        outcome: Outcome,
        now_s: float,
        took_s: float,
        cause: str | None = None,
    ) -> None:
        if permit is None:
            return
        with self._lock:
            self._breaker.settle(permit, outcome, now_s=now_s, took_s=took_s, cause=cause)
        self._listeners.tell()


# What a context has entered: breaker, permit, instant, and what it had entered before.
_Entry = tuple[CircuitBreaker, Permit | None, float, "_Entry | None"]
_entered: ContextVar[_Entry | None] = ContextVar("entered_breakers", default=None)


def _on_top(breaker: CircuitBreaker, entered: _Entry | None) -> _Entry | None:
    """Return what was entered with `breaker` on top, for who exits need not have entered last."""
    if entered is None or entered[0] is breaker:
        return entered
    below = _on_top(breaker, entered[3])
    return below and (*below[:3], (*entered[:3], below[3]))
