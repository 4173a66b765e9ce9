"""How late the manager's own event loop is: shown, and excused in whatever is judged by a clock."""

from stream_manager.clock import Clock

# What is less is the usual unrest of a busy machine, and no deadline is that short.
EXCUSED_FROM_S = 0.5
WORST_OF_S = 60.0


class LoopLag:
    """Measures by a tick that should come every `every_s` seconds, and tells how late it was.

    newest_s: how late the newest tick was. worst_s: the worst of the last one to two minutes.
    """

    def __init__(self, clock: Clock, *, every_s: float) -> None:
        self._clock = clock
        self._every_s = every_s
        self._expected_s = clock.monotonic_s() + every_s
        self._owed_s = 0.0  # not taken yet
        self._taken_s = 0.0  # taken of the lateness of a tick that has not come yet
        self._worst_s = (0.0, 0.0)  # of the minute before, and of this one
        self._minute_s = clock.monotonic_s()
        self.newest_s = 0.0

    @property
    def worst_s(self) -> float:
        """How late the worst tick of late was."""
        return max(self._worst_s)

    @property
    def late_s(self) -> float:
        """How late we are now: the newest tick, or one that is overdue."""
        return max(self.newest_s, self._clock.monotonic_s() - self._expected_s)

    @property
    def until_tick_s(self) -> float:
        """How long it is until the next tick."""
        return max(self._expected_s - self._clock.monotonic_s(), 0.0)

    def tick(self) -> None:
        """Hear that the tick has come."""
        now_s = self._clock.monotonic_s()
        self.newest_s = late_s = max(now_s - self._expected_s, 0.0)
        if late_s - self._taken_s >= EXCUSED_FROM_S:
            self._owed_s += late_s - self._taken_s
        self._taken_s = 0.0
        self._expected_s = max(now_s, self._expected_s) + self._every_s
        if now_s - self._minute_s >= WORST_OF_S:
            self._minute_s, self._worst_s = now_s, (self._worst_s[1], 0.0)
        self._worst_s = self._worst_s[0], max(self._worst_s[1], late_s)

    def take(self) -> float:
        """Return what nobody has excused yet, also while a tick is overdue; 0 for a little."""
        owed_s, self._owed_s = self._owed_s, 0.0
        overdue_s = max(self._clock.monotonic_s() - self._expected_s, 0.0)
        if overdue_s - self._taken_s >= EXCUSED_FROM_S:
            owed_s += overdue_s - self._taken_s
            self._taken_s = overdue_s
        return owed_s
