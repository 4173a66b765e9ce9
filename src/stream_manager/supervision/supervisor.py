"""`Supervisor`: the loop with what people ask of it, and a block that nothing of it outlives."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from stream_manager.clock import Clock, SystemClock, chance
from stream_manager.errors import StreamManagerError, UsageError
from stream_manager.recovery import (
    Event,
    Phase,
    RecoveryManager,
    RecoveryPolicy,
    Reset,
    Restart,
    RestartType,
    Rule,
    Step,
    Strategy,
    Wanted,
)
from stream_manager.supervision.admission import check_part, check_phases, check_stall, spec_of
from stream_manager.supervision.component import Component, Snapshots
from stream_manager.supervision.components.door import as_component
from stream_manager.supervision.components.function import Function
from stream_manager.supervision.components.group import Group
from stream_manager.supervision.ending import LAST_PATIENCE_S, end, within
from stream_manager.supervision.journal import Journal, MemoryJournal
from stream_manager.supervision.loop import Loop, broken, stopped
from stream_manager.supervision.owner import Owner
from stream_manager.supervision.runner import Runner
from stream_manager.supervision.snapshots import MemorySnapshots
from stream_manager.supervision.status import Status, sentences, status

# What it takes, beside the teardown itself, to decide and journal a component's end.
STOP_MARGIN_S = 2.0

logger = logging.getLogger(__name__)


class Supervisor(Loop):
    """Runs components and heals them. Not thread-safe: call it on its event loop.

        async with Supervisor() as supervisor:
            await supervisor.add("ingest", ingest)

    Leaving the block tears all components down, whatever was under way: the newest first and so a
    group after its children, each within twice its `teardown_s`; what can't be stopped is abandoned
    and named in the log. A block that is cancelled while it stops gives what is left one second, at
    once. Should the loop itself end, the block is interrupted, and raises InvariantError.

    recovery: decides. rules: classify faults, before the built-in ones. journal: told each decision
    before it is acted upon; by default the log. snapshots: what components go on from; by default
    in memory. watch: called with each decision after it is journalled. came_round: called after
    each round, also an idle one. late: returns for how many seconds the event loop was stuck since
    it was last asked; deadlines end as much later.
    """

    def __init__(
        self,
        *,
        recovery: RecoveryManager | None = None,
        rules: Sequence[Rule] = (),
        journal: Journal | None = None,
        clock: Clock | None = None,
        snapshots: Snapshots | None = None,
        watch: Callable[[Step], None] | None = None,
        came_round: Callable[[], None] | None = None,
        late: Callable[[], float] = lambda: 0.0,
    ) -> None:
        if recovery is not None and rules:
            raise UsageError("recovery and rules are both given: expected RecoveryManager(rules=…)")
        clock = SystemClock() if clock is None else clock
        super().__init__(
            recovery=recovery or RecoveryManager(chance=chance, rules=rules),
            journal=MemoryJournal(clock=clock) if journal is None else journal,
            clock=clock,
            watch=watch,
            came_round=came_round,
            late=late,
        )
        self._snapshots = MemorySnapshots() if snapshots is None else snapshots
        check_part("recovery", self.recovery, "handle", "due")
        check_part("journal", self._journal, "__call__")
        check_part("clock", clock, "monotonic_s", "wall", "sleep")
        check_part("snapshots", self._snapshots, "load_snapshot", "save_snapshot")
        for option, callback in (("watch", watch), ("came_round", came_round), ("late", late)):
            if callback is not None:
                check_part(option, callback, "__call__")
        self._runners: dict[str, Runner] = {}
        self._ids: dict[int, str] = {}  # by the object that runs under it: it can have but one run
        self._left: set[asyncio.Task[Any]] = set()  # by components that are removed
        self._task: asyncio.Task[None] | None = None
        self._owner: Owner | None = None
        self._leaving = False

    # --- its life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise UsageError("a supervisor runs once: make a new one")
        self._owner = Owner()
        self._task = asyncio.create_task(self.run(), name="supervisor")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        loop, owner = self._task, self._owner
        assert loop is not None
        assert owner is not None
        self._leaving = True
        try:
            await self._stop_all()
            broke = loop.done()
            for runner in reversed(list(self._runners.values())):
                await runner.close()
        finally:
            owner.release()
            loop.cancel()
            await self._end_all(loop)
        if broke and not (loop.cancelled() and owner.is_cancelled):
            raise broken(loop)

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
        component = as_component(component)
        if other := self._ids.get(id(component)):
            raise UsageError(f"{component!r} is component {other!r} already: make another instance")
        runner = Runner(
            id_,
            component,
            policy=spec.policy,
            stall_after_s=stall_after_s,
            snapshots=self._snapshots,
            clock=self._clock,
            post=self.post,
        )
        self.enlist(spec, runner)
        self._runners[id_] = runner
        self._ids[id(component)] = id_
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
                del self._ids[id(runner.component)]
                left.extend(runner.leave())
                self._left.update(left)  # seen to by the block's end, if by nobody before

        await self._waits.answer(self._inbox.changed(forget))
        await end(left, self._clock)
        self._left -= {*left}

    async def stop(self, id_: str) -> None:
        """Stop a component; return when it has, or is abandoned after twice its `teardown_s`.

        Raises UsageError when it is started again, or removed, before that.
        """
        await self._order(Wanted(id=id_, up=False, digest=""))
        stopped = self._waits.until(self._record(id_), (Phase.STOPPED,), unwanted=True)
        await self._waits.answer(stopped)

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
        record, core = self._record(id_), self.recovery
        incident, awaits = core.incident_of(id_), core.awaits(id_)
        return sentences(record, clock=self._clock, incident=incident, awaits=awaits)

    async def wait_until(self, id_: str, *phases: Phase) -> Phase:
        """Return the first of `phases` that a component is in, or comes to.

        It waits for ever for a phase that never comes: name FAILED too, or set a timeout.
        Raises UsageError when the component is removed, or the block is left.
        """
        check_phases(phases)
        return await self._waits.answer(self._waits.until(self._record(id_), phases))

    # --- what its own methods share -------------------------------------------------------------

    def _must_run(self) -> None:
        if self._task is None:
            raise UsageError("the supervisor does not run yet: enter it with `async with`")
        if self._leaving:
            raise UsageError("the supervisor is stopping: it takes no more components or commands")

    async def _order(self, *events: Event) -> None:
        """Hand events in and return when they are acted upon."""
        self._must_run()
        for event in events:
            self.post(event)
        await self._waits.answer(self._inbox.changed(lambda: None))

    # --- its end --------------------------------------------------------------------------------

    def _ended(self, loop: asyncio.Task[None]) -> None:
        """Tell whoever waits for the loop that it has ended, and its block if it knows nothing."""
        self._waits.end(stopped if self._leaving and loop.cancelled() else lambda: broken(loop))
        if not self._leaving and self._owner is not None:
            self._owner.tell()

    async def _stop_all(self) -> None:
        """Order everything to stop, the newest first; go on past what does not in its time."""
        for record in reversed(list(self.recovery.records.values())):
            id_, at_most_s = record.spec.id, 2 * record.spec.policy.teardown_s + STOP_MARGIN_S
            stopped = asyncio.ensure_future(self._stop_one(id_))
            try:
                if not await within(stopped, at_most_s, self._clock):
                    logger.error("%s did not stop within %g s", id_, at_most_s)
            finally:
                stopped.cancel()

    async def _stop_one(self, id_: str) -> None:
        with suppress(StreamManagerError):  # it was removed meanwhile, or the loop has ended
            self.post(Wanted(id=id_, up=False, digest=""))
            await self.wait_until(id_, Phase.STOPPED)

    async def _end_all(self, loop: asyncio.Task[None]) -> None:
        """Leave nothing behind: what still runs is torn down at once, and then cancelled."""
        runners = list(self._runners.values())
        closed = asyncio.gather(*(runner.close() for runner in runners))
        try:
            await within(closed, LAST_PATIENCE_S, self._clock)
        finally:
            left = [task for runner in runners for task in runner.leave()]
            await end([loop, *left, *self._left], self._clock)
