"""Circuit breakers by key, such as one a host: made when first asked for, all by the same rules."""

from collections.abc import Callable, Iterator, Mapping
from threading import RLock
from typing import Any, Unpack

from stream_manager.clock import Clock
from stream_manager.clock import chance as system_chance
from stream_manager.recovery.breaker_policy import BreakerRules
from stream_manager.recovery.checks import require_functions, require_kind
from stream_manager.supervision.breaker import CircuitBreaker, Listener
from stream_manager.supervision.guarded import Errors


class BreakerRegistry:
    """Circuit breakers, one a key, which is its name. Takes what `CircuitBreaker` takes.

    It holds what it made until `discard`: keys should be few, like hosts, and not like requests.
    """

    def __init__(
        self,
        *,
        ignore: Errors = (),
        clock: Clock | None = None,
        chance: Callable[[], float] = system_chance,
        **rules: Unpack[BreakerRules],
    ) -> None:
        # Re-entrant: a finaliser may run at any allocation, and ask for a breaker.
        self._lock = RLock()
        self._breakers: dict[str, CircuitBreaker] = {}
        self._listeners: tuple[Listener, ...] = ()

        def make(key: str) -> CircuitBreaker:
            return CircuitBreaker(key, ignore=ignore, clock=clock, chance=chance, **rules)

        self._make = make
        make("of a registry")  # so that bad rules are refused, and odd ones warned of, already here

    def of(self, key: str) -> CircuitBreaker:
        """Return the breaker of `key`, always the same one."""
        breaker = self._breakers.get(key)
        if breaker is None:
            with self._lock:
                breaker = self._breakers.get(key)
                if breaker is None:
                    breaker = self._make(key)
                    for listener in self._listeners:
                        breaker.on_transition(listener)
                    # Only now, for others look without the lock; and a finaliser may have made it.
                    breaker = self._breakers.setdefault(key, breaker)
        return breaker

    def __iter__(self) -> Iterator[CircuitBreaker]:
        """Iterate over those that were made, as of now."""
        with self._lock:
            return iter([*self._breakers.values()])

    def discard(self, key: str) -> None:
        """Forget a breaker; who still holds it may use it on."""
        with self._lock:
            self._breakers.pop(key, None)

    def on_transition(self, listener: Listener) -> Listener:
        """Call `listener` with every transition of every breaker, also of those to come."""
        require_functions(listener=listener)
        with self._lock:
            self._listeners += (listener,)
            for breaker in self._breakers.values():
                breaker.on_transition(listener)
        return listener

    def dump(self) -> dict[str, dict[str, Any]]:
        """Return what should survive a restart, by key, as plain values."""
        return {breaker.name: breaker.dump() for breaker in self}

    def restore(self, dumped: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on where `dump` left off.

        Raises ValueError for what it can't have returned, and changes nothing then.
        """
        require_kind(Mapping, dumped=dumped)
        for key, values in dumped.items():
            self._make(key).restore(values)  # each can be restored, before any is
        for key, values in dumped.items():
            self.of(key).restore(values)
