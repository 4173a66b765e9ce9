"""What the next manager has to be told: what holds of the parts, and files that none has noted.

A fact that was sent may have died with the manager that read it. So each is kept until it no longer
matters: of a part until that is gone, of a file until its end is noted. In their order, always.
"""

from collections import deque
from collections.abc import Callable

from stream_manager.pipelines.messages import (
    Fact,
    FeedReady,
    PartFailed,
    PartGone,
    PartStarted,
    SegmentClosed,
    SegmentOpened,
)

KEPT_FACTS = 10_000  # alone a worker keeps two for each file: three days of them at 60 s


class Ledger:
    """Keeps facts. `forgotten` counts those that were given up for want of room."""

    def __init__(self, *, kept: int = KEPT_FACTS) -> None:
        """Hold `kept` facts at the most."""
        self._most = kept
        self._facts: list[Fact] = []
        self._told: deque[Fact] | None = None  # on this connection, and not noted yet
        self.forgotten = 0

    def begin(self) -> tuple[Fact, ...]:
        """Return all that a new connection is told first, in order."""
        self._told = deque(self._facts)
        return tuple(self._facts)

    def leave(self) -> None:
        """Know that the connection has ended: what was not noted may never have been read."""
        self._told = None

    def take(self, fact: Fact) -> None:
        """Keep a fact; where there is a connection it is told there, too."""
        if isinstance(fact, PartGone):
            self._drop(
                lambda it: isinstance(it, PartStarted | FeedReady | PartFailed) and _of(fact, it)
            )
        self._facts.append(fact)
        if self._told is not None:
            self._told.append(fact)
        while len(self._facts) > self._most:
            self._forget()

    def noted(self, count: int) -> None:
        """Take so many more of this connection's facts as written down."""
        told = self._told or deque()
        for _ in range(min(count, len(told))):
            fact = told.popleft()
            if isinstance(fact, SegmentClosed | PartGone):
                self._end(fact)

    def _end(self, end: SegmentClosed | PartGone) -> None:
        """Drop the end of something, with all that it has ended."""
        self._drop(
            lambda it: (
                it is end
                or (
                    isinstance(it, SegmentOpened)
                    and (_of(end, it) if isinstance(end, PartGone) else it.path == end.path)
                )
            )
        )

    def _forget(self) -> None:
        """Give up the oldest file, or else the oldest fact."""
        ends = (it for it in self._facts if isinstance(it, SegmentClosed))
        before = len(self._facts)
        if (oldest := next(ends, None)) is not None:
            self._end(oldest)
        else:
            del self._facts[0]
        self.forgotten += before - len(self._facts)

    def _drop(self, goes: Callable[[Fact], bool]) -> None:
        self._facts = [it for it in self._facts if not goes(it)]


def _of(end: PartGone, fact: PartStarted | FeedReady | PartFailed | SegmentOpened) -> bool:
    return (fact.part, fact.epoch) == (end.part, end.epoch)
