"""The shell around the recovery core: events in, decisions journalled, then acted upon.

    world -> post(event) -> RecoveryManager.handle -> journal -> Performer.begin(action) -> world

There is one such loop, and it never waits for an action: what an action brings about comes back
as an event.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from stream_manager.clock import Clock, SystemClock, chance
from stream_manager.errors import InvariantError, UsageError
from stream_manager.recovery import (
    Decision,
    Event,
    Phase,
    Record,
    RecoveryManager,
    RecoveryPolicy,
    Reset,
    Restart,
    RestartType,
    Spec,
    Step,
    Strategy,
    Wanted,
)
from stream_manager.supervision.admission import check_stall, spec_of
from stream_manager.supervision.component import Component, Performer, Snapshots
from stream_manager.supervision.components.function import Function, as_component
from stream_manager.supervision.components.group import Group
from stream_manager.supervision.ending import end, within
from stream_manager.supervision.inbox import Inbox
from stream_manager.supervision.journal import Journal, MemoryJournal, write
from stream_manager.supervision.runner import Runner
from stream_manager.supervision.snapshots import MemorySnapshots
from stream_manager.supervision.status import Status, sentences, status
from stream_manager.supervision.waits import Waits

# What it takes, beside the teardown itself, to decide and journal a component's end.
STOP_MARGIN_S = 2.0

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs components and heals them. Not thread-safe: call it on its event loop.

        async with Supervisor() as supervisor:
            await supervisor.add("ingest", ingest)

    Leaving the block stops all components, the newest first and so a group after its children, each
    within twice its `teardown_s`; what can't be stopped is abandoned, and named in the log.

    recovery: decides. journal: told each decision before it is acted upon; by default the log.
    snapshots: what components go on from; by default in memory. watch: called with each decision
    after it is journalled. came_round: called after each round, also an idle one. late: returns for
    how many seconds the event loop was stuck since it was last asked; deadlines end as much later.
    """

    def __init__(
        self,
        *,
        recovery: RecoveryManager | None = None,
        journal: Journal | None = None,
        clock: Clock | None = None,
        snapshots: Snapshots | None = None,
        watch: Callable[[Step], None] | None = None,
        came_round: Callable[[], None] | None = None,
        late: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.recovery = RecoveryManager(chance=chance) if recovery is None else recovery
        self._clock: Clock = SystemClock() if clock is None else clock
        self._journal: Journal = MemoryJournal(clock=self._clock) if journal is None else journal
        self._snapshots: Snapshots = MemorySnapshots() if snapshots is None else snapshots
        self._watch = watch
        self._came_round = came_round
        self._late = late
        self._performers: dict[str, Performer] = {}
        self._runners: dict[str, Runner] = {}
        self._inbox = Inbox(self._clock)
        self._waits = Waits()
        self._loop: asyncio.Task[None] | None = None
        self._leaving = False

    # --- its life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise UsageError("a supervisor runs once: make a new one")
        owner = asyncio.current_task()
        assert owner is not None
        self._loop = asyncio.create_task(self.run(), name="supervisor")
        self._loop.add_done_callback(lambda loop: None if loop.cancelled() else owner.cancel())
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        loop, owner = self._loop, asyncio.current_task()
        assert loop is not None
        assert owner is not None
        self._leaving = True
        try:
            if not loop.done():
                await self._stop_all()
        finally:
            broke = loop.done()
            loop.cancel()
            left = [task for runner in self._runners.values() for task in runner.leave()]
            await end([loop, *left], self._clock)
            if broke:
                owner.uncancel()  # it was cancelled for this alone
                raise InvariantError("the supervisor's loop broke") from loop.exception()

    async def run(self) -> None:
        """Decide and act until cancelled. Who calls it, in place of the block, stops everything."""
        self._loop = self._loop or asyncio.current_task()
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
                self._came_round()

    # --- what people ask of it ------------------------------------------------------------------

    async def add(
        self,
        id_: str,
        component: Component | Function,
        *,
        policy: RecoveryPolicy | None = None,
        parent: str | None = None,
        needs: Sequence[str] = (),
        depends_on: Sequence[str] = (),
        restart: RestartType = RestartType.PERMANENT,
        stall_after_s: float | None = None,
    ) -> None:
        """Take a component in and start it; return when that is decided, not when it runs.

        component: an async function, or any `Component`, such as a `Subprocess`.
        parent: whom its failure escalates to; needed, too. needs: what must be up before it starts.
        depends_on: domains that it shares with others and can fail with, like "host:10.0.0.5".
        restart: whether it is started again after a fault, and after an end in good order.
        stall_after_s: it promises progress; none for so long is a fault, and being alive no proof.
        Raises UsageError, and nothing has changed, for what can't be run.
        """
        self._must_run()
        spec = spec_of(
            id_, policy=policy, parent=parent, needs=needs, depends_on=depends_on, restart=restart
        )
        check_stall(stall_after_s)
        runner = Runner(
            id_,
            as_component(component),
            policy=spec.policy,
            stall_after_s=stall_after_s,
            snapshots=self._snapshots,
            clock=self._clock,
            post=self.post,
        )
        self.enlist(spec, runner)
        self._runners[id_] = runner
        await self._order(Wanted(id=id_, up=True, digest=""))

    async def group(
        self,
        id_: str,
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        policy: RecoveryPolicy | None = None,
        parent: str | None = None,
    ) -> None:
        """Take a component without work in, for others to name as their `parent`, and start it.

        strategy: which of its children go down with one that fails; they come back in order.
        policy: its budget bounds how often it is restarted, with all children, for one of them.
        Raises UsageError, and nothing has changed, for what can't be.
        """
        self._must_run()
        spec = spec_of(id_, policy=policy, parent=parent, strategy=strategy)
        self.enlist(spec, Group(self.post))
        await self._order(Wanted(id=id_, up=True, digest=""))

    async def remove(self, id_: str) -> None:
        """Stop a component and forget it. Raises UsageError for one that another needs."""
        self._record(id_)
        others = [it.spec.id for it in self.recovery.records.values() if id_ in it.spec.needs]
        if others:
            raise UsageError(f"{id_!r} is needed by {', '.join(others)}: remove that first")
        await self.stop(id_)
        left: list[asyncio.Task[Any]] = []

        def forget() -> None:
            self.dismiss(id_)
            if runner := self._runners.pop(id_, None):
                left.extend(runner.leave())

        await self._inbox.changed(forget)
        await end(left, self._clock)

    async def stop(self, id_: str) -> None:
        """Stop a component; return when it has, or is abandoned after twice its `teardown_s`."""
        await self._order(Wanted(id=id_, up=False, digest=""))
        await self.wait_until(id_, Phase.STOPPED)

    async def start(self, id_: str) -> None:
        """Start a component that was stopped, or has failed, with its counters cleared."""
        await self._order(Wanted(id=id_, up=True, digest=""), Reset(id=id_))

    async def restart(self, id_: str) -> None:
        """Tear a component down and start it again, with its counters cleared."""
        await self._order(Restart(id=id_))

    async def reset(self, id_: str) -> None:
        """Clear a component's counters; what waits or has failed is tried at once."""
        await self._order(Reset(id=id_))

    def status(self, id_: str) -> Status:
        """Return where a component stands."""
        return status(self._record(id_), now_s=self._clock.monotonic_s())

    def explain(self, id_: str) -> list[str]:
        """Return why it stands there, and what happens next and when, in sentences."""
        record = self._record(id_)
        return sentences(record, clock=self._clock, incident=self.recovery.incident_of(id_))

    async def wait_until(self, id_: str, *phases: Phase) -> Phase:
        """Return the first of `phases` that a component is in, or comes to.

        It waits for ever for a phase that never comes: name FAILED too, or set a timeout.
        """
        if (phase := self._record(id_).phase) in phases:
            return phase
        return await self._waits.until(id_, phases)

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

    # --- the loop -------------------------------------------------------------------------------

    def _decide(self) -> list[Step]:
        now_s = self._clock.monotonic_s()
        decisions: list[Step] = []
        while self._inbox.events:
            decisions += self._handle(self._inbox.events.popleft(), now_s)
        if late_s := self._late():
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

    def _change(self) -> None:
        try:
            self._inbox.changes.popleft()()
        except Exception:
            logger.exception("a change between two rounds was not made")

    def _act(self, decision: Step) -> None:
        try:
            if self._watch is not None:
                self._watch(decision)
            for action in decision.actions:
                self._performers[action.id].begin(action)
        except Exception:
            # Our own bug again, in what surrounds the core: it must not end everybody's recovery.
            logger.exception("not acted upon: %s of %s", decision.rule, decision.id)
        if isinstance(decision, Decision):
            self._waits.tell(decision.after)

    # --- what its own methods share -------------------------------------------------------------

    def _record(self, id_: str) -> Record:
        record = self.recovery.records.get(id_)
        if record is None:
            raise UsageError(f"there is no component {id_!r}")
        return record

    def _must_run(self) -> None:
        if self._loop is None:
            raise UsageError("the supervisor does not run yet: enter it with `async with`")
        if self._leaving:
            raise UsageError("the supervisor is stopping: it takes no more components or commands")

    async def _order(self, *events: Event) -> None:
        """Hand events in and return when they are acted upon."""
        self._must_run()
        for event in events:
            self.post(event)
        await self._inbox.changed(lambda: None)

    async def _stop_all(self) -> None:
        """Stop everything, the newest first; go on past what does not stop in its time."""
        for record in reversed(list(self.recovery.records.values())):
            id_, at_most_s = record.spec.id, 2 * record.spec.policy.teardown_s + STOP_MARGIN_S
            self.post(Wanted(id=id_, up=False, digest=""))
            stopped = asyncio.ensure_future(self.wait_until(id_, Phase.STOPPED))
            try:
                if not await within(stopped, at_most_s, self._clock):
                    logger.error("%s did not stop within %g s", id_, at_most_s)
            finally:
                stopped.cancel()
