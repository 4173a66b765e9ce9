"""The journal of whoever brings none: the newest decisions in memory, and all in the log."""

import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Protocol

from stream_manager.clock import Clock, local_time, wall_of
from stream_manager.recovery import Decision, Failed, Phase, describe

KEPT = 1000

logger = logging.getLogger("stream_manager.decisions")


class Journal(Protocol):
    """Where decisions are written down."""

    def __call__(self, decisions: Sequence[Decision], at_most_s: float) -> Awaitable[bool]:
        """Write them; return within `at_most_s` whether they are safe.

        What it raises is logged, and the decisions are performed all the same.
        """
        ...


class MemoryJournal:
    """Keeps the newest decisions in `decisions`, and logs each as "stream_manager.decisions".

    A fault is a warning, a component that is given up or can't be torn down an error, a recovery
    or a command information; the steps between are for debugging.
    """

    def __init__(self, *, clock: Clock, kept: int = KEPT) -> None:
        self.decisions: deque[Decision] = deque(maxlen=kept)
        self._clock = clock

    async def __call__(self, decisions: Sequence[Decision], at_most_s: float) -> bool:  # noqa: ARG002 - it never waits
        """Write them down; they are safe only as long as the process lives."""
        for decision in decisions:
            self.decisions.append(decision)
            level = level_of(decision)
            if logger.isEnabledFor(level):
                logger.log(level, "%s [%s]", describe(decision, wall=self._wall), decision.rule)
        return False

    def _wall(self, instant_s: float) -> str:
        return local_time(wall_of(instant_s, self._clock), self._clock.wall())


def level_of(decision: Decision) -> int:
    """Return how loud a decision is told."""
    before, after = decision.before, decision.after
    if decision.rule == "abandoned":
        return logging.ERROR
    if after.last is not before.last or isinstance(decision.event, Failed):
        given_up = after.phase is Phase.TEARING_DOWN and after.afterwards is Phase.FAILED
        return logging.ERROR if given_up else logging.WARNING
    if after.phase in {Phase.RUNNING, Phase.STOPPED} or after.wanted is not before.wanted:
        return logging.INFO
    return logging.DEBUG
