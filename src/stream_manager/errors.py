"""One root error in three branches: who has to act is told by the class."""

TYPE_CHECKING = False  # type checkers know the name; errors are not worth loading typing for


class StreamManagerError(Exception):
    """Root of everything that this package raises on purpose."""


class UsageError(StreamManagerError):
    """The caller or the configuration asked for something impossible; nothing was changed."""


class OutsideError(StreamManagerError):
    """Something outside failed (a process, a disk, a socket); what ran before still runs."""


class InvariantError(StreamManagerError):
    """Our own logic broke; the state is as before the call. A bug to report, never to retry."""


class CircuitOpenError(OutsideError):
    """A circuit breaker rejected a call, which was not made; wait, or do without."""

    # They are `args` and nothing else: overload brings many of these, so no Python code makes one.
    if TYPE_CHECKING:

        def __init__(
            self, name: str, retry_after_s: float | None, last_cause: str | None, /
        ) -> None: ...

    @property
    def name(self) -> str:
        """The breaker's name."""
        return str(self.args[0])

    @property
    def retry_after_s(self) -> float | None:
        """How long to wait; None: nobody can tell (a probe is out, or it was forced open)."""
        retry_after_s: float | None = self.args[1]
        return retry_after_s

    @property
    def last_cause(self) -> str | None:
        """The text of the failure that it remembers last; None before any."""
        last_cause: str | None = self.args[2]
        return last_cause

    def __str__(self) -> str:
        again = "" if self.retry_after_s is None else f"; try again in {self.retry_after_s:.1f} s"
        cause = "" if self.last_cause is None else f"; the last failure was {self.last_cause}"
        return f"circuit breaker {self.name!r} admits no call now{again}{cause}"


class BulkheadFullError(OutsideError):
    """No room came free in time; the call was not made. Its caller sheds it, or tries later.

    name: of the bulkhead; waited_s: in its queue, None if even that was full.
    """

    def __init__(self, name: str, *, concurrent: int, queue: int, waited_s: float | None) -> None:
        super().__init__(name)
        self.name = name
        self.concurrent = concurrent
        self.queue = queue
        self.waited_s = waited_s

    def __str__(self) -> str:
        told = (
            f"its queue of {self.queue} is full"
            if self.waited_s is None
            else f"none came free within {self.waited_s:.3g} s"
        )
        return (
            f"bulkhead {self.name!r}: all {self.concurrent} places are taken and {told}; "
            "drop this call or make it later, and if that happens under a normal load, "
            "raise concurrent, queue or wait_s"
        )
