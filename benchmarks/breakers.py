"""Circuit breakers side by side: how each is made, so that all guard the same function alike.

Each opens after five failures in a row and is made anew for each experiment. Of the peers those
are compared that are installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stream_manager.errors import CircuitOpenError
from stream_manager.recovery import BreakerState
from stream_manager.supervision import CircuitBreaker

FAILURES = 5
PEERS = ("pybreaker", "circuitbreaker", "purgatory", "aiobreaker", "hyx")
Decorator = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A breaker: how it decorates, how it says that it is closed, what a rejection raises."""

    guard: Decorator
    closed: Callable[[], bool]
    rejection: type[Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A library. `threads`, `tasks`: make a breaker that stays open for so long; None: it can't."""

    name: str
    version: str
    threads: Callable[[float], Made] | None
    tasks: Callable[[float], Made] | None


def contenders() -> list[Contender]:
    """Return ours and the peers that are installed."""
    makers = {
        "pybreaker": (_pybreaker, None),
        "circuitbreaker": (_circuitbreaker, _circuitbreaker),
        "purgatory": (_purgatory, _purgatory_async),
        "aiobreaker": (_aiobreaker, _aiobreaker),
        "hyx": (None, _hyx),
    }
    found = [Contender(name="ours", version="", threads=_ours, tasks=_ours)]
    for name in PEERS:
        try:
            number = version(name)
        except PackageNotFoundError:
            continue
        threads, tasks = makers[name]
        found.append(Contender(name=name, version=number, threads=threads, tasks=tasks))
    return found


def with_window(*, slow_call_s: float | None = None) -> CircuitBreaker:
    """Return ours with all that costs: a rate over a time window, and, if wanted, slow calls."""
    return CircuitBreaker(
        "bench", failure_rate=0.5, min_calls=10, window_s=30.0, slow_call_s=slow_call_s
    )


def _ours(open_s: float) -> Made:
    breaker = CircuitBreaker(
        "bench",
        consecutive_failures=FAILURES,
        failure_rate=0.5,
        open_s=open_s,
        open_cap_s=60 * open_s,
    )
    return Made(
        guard=breaker,
        closed=lambda: breaker.state is BreakerState.CLOSED,
        rejection=CircuitOpenError,
    )


def _pybreaker(open_s: float) -> Made:
    return _named_alike(
        "pybreaker",
        lambda it: bool(it.current_state == "closed"),
        fail_max=FAILURES,
        reset_timeout=open_s,
    )


def _circuitbreaker(open_s: float) -> Made:
    return _named_alike(
        "circuitbreaker",
        lambda it: bool(it.state == "closed"),
        failure_threshold=FAILURES,
        recovery_timeout=open_s,
    )


def _purgatory(open_s: float) -> Made:
    it = import_module("purgatory")
    factory = it.SyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=open_s)
    breaker = factory.get_breaker("bench")
    return Made(
        guard=factory("bench"),
        closed=lambda: bool(breaker.context.state == "closed"),
        rejection=import_module("purgatory.domain.model").OpenedState,
    )


def _purgatory_async(open_s: float) -> Made:
    it = import_module("purgatory")
    factory = it.AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=open_s)

    def closed() -> bool:
        return bool(factory.uow.contexts.breakers["bench"].state == "closed")

    rejection = import_module("purgatory.domain.model").OpenedState
    return Made(guard=factory("bench"), closed=closed, rejection=rejection)


def _aiobreaker(open_s: float) -> Made:
    return _named_alike(
        "aiobreaker",
        lambda it: bool(it.current_state.name == "CLOSED"),
        fail_max=FAILURES,
        timeout_duration=timedelta(seconds=open_s),
    )


def _named_alike(peer: str, closed: Callable[[Any], bool], **options: object) -> Made:
    """Make a breaker of a peer whose class is itself the decorator."""
    module = import_module(peer)
    breaker = module.CircuitBreaker(**options)
    return Made(guard=breaker, closed=lambda: closed(breaker), rejection=module.CircuitBreakerError)


def _hyx(open_s: float) -> Made:
    it = import_module("hyx.circuitbreaker")
    breaker = it.consecutive_breaker(failure_threshold=FAILURES, recovery_time_secs=open_s)
    return Made(
        guard=breaker,
        closed=lambda: bool(breaker.state.NAME == "working"),
        rejection=import_module("hyx.circuitbreaker.exceptions").BreakerFailing,
    )
