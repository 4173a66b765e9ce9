"""What a call inherits from the code around it: a deadline, and that somebody retries already.

Both travel in a context variable: into nested calls, into tasks, and into the threads of
`asyncio.to_thread`. Other executors' threads get them by `copy_context().run`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

from stream_manager.clock import Clock, SystemClock
from stream_manager.recovery.checks import require_durations

_SYSTEM = SystemClock()


class Scope:
    """A stretch of running code. deadline_s: monotonic, `inf` for none, never later than outside.

    It is not taken out of the context at its end but says itself that it is `over`: a task that
    was started inside carries a copy of the context, and must not be bound by it for ever. So it
    is set inside the `try` whose `finally` ends it: an interrupt between the two would bind all
    that follows.
    """

    __slots__ = ("deadline_s", "outer", "over", "retries")

    def __init__(self, *, outer: "Scope | None", deadline_s: float, retries: bool) -> None:
        self.outer = outer
        self.deadline_s = deadline_s
        self.retries = retries
        self.over = False


current: ContextVar[Scope | None] = ContextVar("stream_manager_scope", default=None)


def around() -> Scope | None:
    """Return the innermost scope that this code runs in."""
    scope = current.get()
    while scope is not None and scope.over:
        scope = scope.outer
    return scope


@contextmanager
def deadline(within_s: float, *, clock: Clock = _SYSTEM) -> Iterator[None]:
    """Let no retry or bulkhead inside wait longer than `within_s` seconds from now.

    It bounds waits and interrupts nothing: give `remaining_s` to what you call as its timeout.
    A generator that yields inside also bounds who iterates over it: they share one context.
    Raises ValueError for anything but a duration above 0.
    """
    require_durations(within_s=within_s)
    outer = around()
    inherited_s = inf if outer is None else outer.deadline_s
    scope = Scope(
        outer=outer,
        deadline_s=min(inherited_s, clock.monotonic_s() + within_s),
        retries=outer is not None and outer.retries,
    )
    try:
        current.set(scope)
        yield
    finally:
        scope.over = True


def remaining_s(*, clock: Clock = _SYSTEM) -> float | None:
    """Return the seconds until the deadline of the code around, at least 0; None without one."""
    scope = around()
    if scope is None or scope.deadline_s == inf:
        return None
    return max(0.0, scope.deadline_s - clock.monotonic_s())
