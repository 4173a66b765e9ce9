"""The shell around the recovery core: events in, decisions journalled, then acted upon.

    world -> post(event) -> RecoveryManager.handle -> journal -> Component.begin(action) -> world

There is one such loop, and it never waits for an action: what an action brings about comes back
as an event.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from stream_manager.clock import Clock
from stream_manager.errors import InvariantError, UsageError
from stream_manager.recovery import (
    Action,
    Event,
    RecoveryManager,
    Spec,
    Step,
)

# A decision waits this long for its entry to reach the disk; then it is performed all the same.
JOURNAL_PATIENCE_S = 0.05

logger = logging.getLogger(__name__)


class Component(Protocol):
    """Something that can be started and stopped, and says how it is by posting events."""

    def begin(self, action: Action) -> None:
        """Begin `action` and return at once.

        Start is answered by Started and Proved, or by Failed; Stop always by Gone. Nothing that
        goes wrong may be raised: it is posted as Failed.
        """
        ...


class Journal(Protocol):
    """Where decisions are written down."""

    def __call__(self, decisions: Sequence[Step], at_most_s: float) -> Awaitable[bool]:
        """Write them; return within `at_most_s` whether they are safe. Never raises."""
        ...


class Supervisor:
    """Runs components under a `RecoveryManager`. Not thread-safe: call it on its event loop.

    watch: called with each decision after it is journalled and before it is acted upon.
    came_round: called after each round, also one in which nothing was to be decided.
    """

    def __init__(
        self,
        *,
        recovery: RecoveryManager,
        journal: Journal,
        clock: Clock,
        watch: Callable[[Step], None],
        came_round: Callable[[], None],
    ) -> None:
        self.recovery = recovery
        self._journal = journal
        self._clock = clock
        self._watch = watch
        self._came_round = came_round
        self._components: dict[str, Component] = {}
        self._inbox: deque[Event] = deque()
        self._between: deque[Callable[[], None]] = deque()
        self._wake = asyncio.Event()

    def add(self, spec: Spec, component: Component, *, epoch: int = 0) -> None:
        """Take a component in, STOPPED; Wanted starts it. `epoch` is the last one it used."""
        self.recovery.add(spec, epoch=epoch)
        self._components[spec.id] = component

    def remove(self, id_: str) -> None:
        """Forget a STOPPED component. Raises UsageError for one that still runs."""
        self.recovery.remove(id_)
        del self._components[id_]

    def post(self, event: Event) -> None:
        """Hand in what the world says; it is decided upon in order of arrival."""
        if event.id not in self._components:
            raise UsageError(f"there is no component {event.id!r}")
        self._inbox.append(event)
        self._wake.set()

    def between_rounds(self, change: Callable[[], None]) -> None:
        """Call `change` when no decision waits to be acted upon: components may come and go."""
        self._between.append(change)
        self._wake.set()

    def come_round(self) -> None:
        """Go through a round soon, whether or not there is something to decide."""
        self._wake.set()

    async def run(self) -> None:
        """Decide and act until cancelled."""
        while True:
            await self._something_to_do()
            decisions = self._decide()
            if decisions:
                await self._journal(decisions, JOURNAL_PATIENCE_S)
                for decision in decisions:
                    self._act(decision)
            while self._between and not self._inbox:
                self._between.popleft()()
            self._came_round()

    async def _something_to_do(self) -> None:
        self._wake.clear()
        if self._inbox or self._between:
            return
        due_s = self.recovery.next_due_s()
        if due_s is None:
            await self._wake.wait()
            return
        delay_s = due_s - self._clock.monotonic_s()
        if delay_s <= 0:
            return
        woken = asyncio.ensure_future(self._wake.wait())
        timer = asyncio.ensure_future(self._clock.sleep(delay_s))
        try:
            await asyncio.wait((woken, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            timer.cancel()

    def _decide(self) -> list[Step]:
        now_s = self._clock.monotonic_s()
        decisions: list[Step] = []
        while self._inbox:
            decisions += self._handle(self._inbox.popleft(), now_s)
        for event in self.recovery.due(now_s):
            decisions += self._handle(event, now_s)
        return decisions

    def _handle(self, event: Event, now_s: float) -> list[Step]:
        try:
            return self.recovery.handle(event, now_s)
        except InvariantError:
            # Our own bug: the component stays as it was, the others go on, and it is told whole.
            logger.exception("event refused: %r", event)
            return []

    def _act(self, decision: Step) -> None:
        try:
            self._watch(decision)
            for action in decision.actions:
                self._components[action.id].begin(action)
        except Exception:
            # Our own bug again, in what surrounds the core: it must not end everybody's recovery.
            logger.exception("not acted upon: %s of %s", decision.rule, decision.id)
