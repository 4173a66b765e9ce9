"""`Loop`: the one loop of the product, and what those ask of it that speak in events.

    world -> post(event) -> RecoveryManager.handle -> journal -> Performer.begin(action) -> world

It never waits for an action: what an action brings about comes back as an event.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from stream_manager.clock import Clock
from stream_manager.errors import InvariantError, UsageError
from stream_manager.recovery import Decision, Event, Record, RecoveryManager, Spec, Step
from stream_manager.supervision.component import Performer
from stream_manager.supervision.inbox import Inbox
from stream_manager.supervision.journal import Journal, write
from stream_manager.supervision.waits import Waits

# How many components an error names, to whoever has mistaken the name of one.
SOME = 5
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Loop:
    """Decides and acts, round by round; nothing that others do wrong ends it.

    recovery, journal, watch, came_round, late: see `Supervisor`.
    """

    def __init__(
        self,
        *,
        recovery: RecoveryManager,
        journal: Journal,
        clock: Clock,
        watch: Callable[[Step], None] | None,
        came_round: Callable[[], None] | None,
        late: Callable[[], float],
    ) -> None:
        self.recovery = recovery
        self._journal = journal
        self._clock = clock
        self._watch = watch
        self._came_round = came_round
        self._late = late
        self._performers: dict[str, Performer] = {}
        self._inbox = Inbox(clock)
        self._waits = Waits()

    async def run(self) -> None:
        """Decide and act until cancelled; what is run then is for the caller to stop."""
        while True:
            await self._inbox.until(self.recovery.next_due_s())
            changes = len(self._inbox.changes)
            decisions = self._decide()
            if decisions:
                await write(decisions, self._journal, self._clock)
                for decision in decisions:
                    self._act(decision)
            for _ in range(changes):  # those whose events are all acted upon, whatever came since
                self._change()
            if self._came_round is not None:
                _called("came_round", self._came_round)

    # --- what components that speak in events ask of it -----------------------------------------

    def enlist(self, spec: Spec, performer: Performer, *, epoch: int = 0) -> None:
        """Take a performer in, STOPPED; Wanted starts it. `epoch` is the last one it used."""
        self.recovery.add(spec, epoch=epoch)
        self._performers[spec.id] = performer

    def resume(self, record: Record) -> None:
        """Let a STOPPED performer go on where an earlier manager left it."""
        self.recovery.resume(record)
        self._inbox.wake()

    def dismiss(self, id_: str) -> None:
        """Forget a STOPPED performer. Raises UsageError for one that still runs."""
        self.recovery.remove(id_)
        del self._performers[id_]
        self._waits.forget(id_)

    def post(self, event: Event) -> None:
        """Hand in what the world says; it is decided upon in order of arrival."""
        self._record(event.id)
        self._inbox.post(event)

    def between_rounds(self, change: Callable[[], None]) -> None:
        """Call `change` when no decision waits to be acted upon: components may come and go."""
        self._inbox.change(change)

    def come_round(self) -> None:
        """Go through a round soon, whether or not there is something to decide."""
        self._inbox.wake()

    # --- a round --------------------------------------------------------------------------------

    def _decide(self) -> list[Step]:
        now_s = self._clock.monotonic_s()
        decisions: list[Step] = []
        while self._inbox.events:
            decisions += self._handle(self._inbox.events.popleft(), now_s)
        if late_s := _called("late", self._late):
            for deaf in self.recovery.deaf(late_s):
                decisions += self._handle(deaf, now_s)
        for event in self.recovery.due(now_s):
            decisions += self._handle(event, now_s)
        return decisions

    def _handle(self, event: Event, now_s: float) -> list[Step]:
        try:
            return self.recovery.handle(event, now_s)
        except Exception:
            # Our own bug: the component stays as it was, the others go on, and it is told whole.
            logger.exception("event refused: %r", event)
            return []

    def _act(self, decision: Step) -> None:
        if self._watch is not None:
            _called("watch", self._watch, decision)
        for action in decision.actions:
            try:
                self._performers[action.id].begin(action)
            except Exception:
                # Our own bug again, in what surrounds the core: it must not end all recovery.
                logger.exception("not acted upon: %s of %s", decision.rule, decision.id)
        if isinstance(decision, Decision):
            self._waits.tell(decision.after)

    def _change(self) -> None:
        try:
            self._inbox.changes.popleft()()
        except Exception:
            logger.exception("a change between two rounds was not made")

    def _record(self, id_: str) -> Record:
        record = self.recovery.records.get(id_)
        if record is None:
            some = ", ".join(map(repr, islice(self.recovery.records, SOME))) or "none yet"
            raise UsageError(f"there is no component {id_!r}: add it first (there are: {some})")
        return record


def broken(loop: asyncio.Task[None]) -> InvariantError:
    """Return what tells that the loop ended by itself."""
    if loop.cancelled():
        return InvariantError(
            "the supervisor's loop was cancelled by somebody, and so nothing is healed any more: "
            "cancel the task that holds its block instead"
        )
    error = InvariantError("the supervisor's loop broke, and so nothing is healed any more")
    error.__cause__ = loop.exception()
    return error


def stopped() -> UsageError:
    """Return what tells that a loop ended because its block was left."""
    return UsageError("the supervisor has stopped: nothing more comes of it")


def _called(name: str, callback: Callable[..., T], *arguments: object) -> T | None:
    """Call what a user gave: what it raises is told, and costs nobody a decision."""
    try:
        return callback(*arguments)
    except Exception:
        logger.exception("the callback %s failed", name)
        return None
