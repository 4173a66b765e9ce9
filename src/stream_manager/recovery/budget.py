"""Restart intensity: how many restarts within how long are healing, and from where it is a loop."""

from dataclasses import dataclass

from stream_manager.recovery.checks import require_counts, require_durations


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most `restarts` within any window of `within_s` seconds; one more escalates.

    The window itself is a tuple of monotonic instants that the component's record holds.
    Raises ValueError for a limit below 1 or a window that is not a duration.
    """

    restarts: int = 5
    within_s: float = 60.0

    def __post_init__(self) -> None:
        require_counts(1, restarts=self.restarts)
        require_durations(within_s=self.within_s)

    def charge(self, charged: tuple[float, ...], now_s: float) -> tuple[float, ...]:
        """Return the window after one more restart at `now_s`, without what has left it."""
        since_s = now_s - self.within_s
        return (*(at_s for at_s in charged if at_s >= since_s), now_s)

    def spent(self, charged: tuple[float, ...]) -> bool:
        """Tell whether a window that `charge` returned exceeds the limit."""
        return len(charged) > self.restarts
