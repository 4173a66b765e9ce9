"""Where decisions are written before they are acted upon; by default memory and the log."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Protocol

from stream_manager.clock import Clock, local_time, wall_of
from stream_manager.recovery import Failed, IncidentStep, Phase, Step, describe
from stream_manager.supervision.ending import within

# A decision waits this long for its entry to reach the disk; then it is performed all the same.
PATIENCE_S = 0.05
# A journal that has not answered by then, as it should, is not waited for.
LOST_S = 0.5
KEPT = 1000

logger = logging.getLogger(__name__)
told = logging.getLogger("stream_manager.decisions")


class Journal(Protocol):
    """Where decisions are written down."""

    def __call__(self, decisions: Sequence[Step], at_most_s: float) -> Awaitable[bool]:
        """Write them; return within `at_most_s` whether they are safe.

        What it raises is logged, and the decisions are performed all the same.
        """
        ...


async def write(decisions: Sequence[Step], journal: Journal, clock: Clock) -> None:
    """Write decisions down; return when they may be acted upon, whatever becomes of that."""

    async def written() -> bool:
        return await journal(decisions, PATIENCE_S)

    writing = asyncio.create_task(written())
    try:
        if await within(writing, LOST_S, clock):
            if writing.cancelled():  # by what it waits for: that must not look like our own end
                logger.error("the journal was cancelled: %d decisions unwritten", len(decisions))
            else:
                writing.result()
        else:
            logger.error("the journal does not answer: %d decisions unwritten", len(decisions))
    except Exception:
        logger.exception("not journalled: %d decisions", len(decisions))
    finally:
        writing.cancel()


class MemoryJournal:
    """Keeps the newest decisions in `decisions`, and logs each as "stream_manager.decisions".

    A fault is a warning, a component that is given up or can't be torn down an error, a recovery
    or a command information; the steps between are for debugging.
    """

    def __init__(self, *, clock: Clock, kept: int = KEPT) -> None:
        self.decisions: deque[Step] = deque(maxlen=kept)
        self._clock = clock

    async def __call__(self, decisions: Sequence[Step], at_most_s: float) -> bool:  # noqa: ARG002 - it never waits
        """Write them down; they are safe only as long as the process lives."""
        for decision in decisions:
            self.decisions.append(decision)
            level = level_of(decision)
            if told.isEnabledFor(level):
                told.log(level, "%s [%s]", describe(decision, wall=self._wall), decision.rule)
        return False

    def _wall(self, instant_s: float) -> str:
        return local_time(wall_of(instant_s, self._clock), self._clock.wall())


def level_of(decision: Step) -> int:
    """Return how loud a decision, or a step of an incident, is told."""
    if isinstance(decision, IncidentStep):
        return logging.WARNING if decision.before is None else logging.INFO
    before, after = decision.before, decision.after
    if decision.rule == "abandoned":
        return logging.ERROR
    if after.last is not before.last or isinstance(decision.event, Failed):
        given_up = after.phase is Phase.TEARING_DOWN and after.afterwards is Phase.FAILED
        return logging.ERROR if given_up else logging.WARNING
    if after.phase in {Phase.RUNNING, Phase.STOPPED} or after.wanted is not before.wanted:
        return logging.INFO
    return logging.DEBUG
