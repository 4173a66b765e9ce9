"""A world that refuses by a script, and retries on its clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stream_manager.recovery import Backoff
from stream_manager.supervision import Retry, retry
from stream_manager.testing import FakeClock

STEADY = Backoff(base_s=1.0, cap_s=8.0, jitter="none")


class RefusedError(OSError):
    """What the world answers in these tests; `retry_after_s` where it says when to come back."""

    def __init__(self, *, retry_after_s: object = None) -> None:
        super().__init__("connection refused")
        self.retry_after_s = retry_after_s


@dataclass
class World:
    """Fails by the script, then returns "done"; notes when it was called."""

    clock: FakeClock
    errors: list[BaseException] = field(default_factory=list)
    takes_s: float = 0.0
    called_at_s: list[float] = field(default_factory=list)

    def __call__(self) -> str:
        """Take its time, then fail or return."""
        self.called_at_s.append(self.clock.now_s - 1000.0)
        self.clock.now_s += self.takes_s
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def world(*errors: BaseException, takes_s: float = 0.0) -> tuple[World, Callable[..., Retry]]:
    """Give a world with this script, and what makes retries on its clock."""
    clock = FakeClock()

    def made(**policy: Any) -> Retry:  # noqa: ANN401 - any field of it
        steady: dict[str, Any] = {
            "backoff": STEADY,
            "clock": clock,
            "chance": lambda: 0.5,
            "on": (OSError,),
        }
        return retry(**(steady | policy))

    return World(clock=clock, errors=list(errors), takes_s=takes_s), made


def refusals(number: int) -> list[RefusedError]:
    """Give so many errors, told apart by their identity."""
    return [RefusedError() for _ in range(number)]
