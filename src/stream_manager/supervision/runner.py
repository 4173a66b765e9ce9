"""`Runner`: one component's runs, each begun and ended within its time, whatever it does.

    Start -> component.start(life) -> Started -> proof -> Proved       (a fault at any time: Failed)
    Stop  -> snapshot -> component.teardown() -> what is left is cancelled -> Gone

What can't be ended is abandoned: the supervisor goes on without a Gone, and facts of that run,
which carry an old epoch, change nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from stream_manager.clock import Clock
from stream_manager.recovery import Action, Event, Fault, Gone, RecoveryPolicy, Start
from stream_manager.supervision.component import Component, Snapshot, Snapshots
from stream_manager.supervision.ending import close, within
from stream_manager.supervision.given import as_snapshot, awaited
from stream_manager.supervision.life import Life

SET_ASIDE = "two starts failed with it"

logger = logging.getLogger(__name__)


class Runner:
    """Performer: runs `component` as the supervisor orders. Used on one event loop.

    stall_after_s: the component promises progress; silence for longer is the fault "stall".
    """

    def __init__(
        self,
        id_: str,
        component: Component,
        *,
        policy: RecoveryPolicy,
        stall_after_s: float | None,
        snapshots: Snapshots,
        clock: Clock,
        post: Callable[[Event], None],
    ) -> None:
        self._id = id_
        self.component = component
        self._policy = policy
        self._stall_after_s = stall_after_s
        self._snapshots = snapshots
        self._clock = clock
        self._post: Callable[[Event], None] | None = post
        self._life: Life | None = None
        self._lives: list[Life] = []  # the present one, and those abandoned that still have tasks
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, action: Action) -> None:
        """Begin a run, or the end of the present one."""
        if isinstance(action, Start):
            life = self._life = self._new_life(action)
            self._lives = [*(it for it in self._lives if it.tasks), life]
            life.main = life.create_task(self._live(life))
        elif self._life is not None:
            self._life.end = self._own(self._end(self._life, action.grace_s))

    async def close(self) -> None:
        """Return when its run has ended, or was abandoned; for when nobody orders that any more."""
        life = self._life
        if life is None or life.over:
            return
        if life.end is None or life.end.done():  # done, and not over: somebody has cancelled it
            life.end = self._own(self._end(life, self._policy.teardown_s))
        await asyncio.wait({life.end})

    def leave(self) -> list[asyncio.Task[Any]]:
        """Hear no more of it; return the tasks that are left, for the caller to end."""
        self._post = None
        return [*self._tasks, *(task for life in self._lives for task in life.tasks)]

    def _new_life(self, action: Start) -> Life:
        return Life(
            id_=self._id,
            epoch=action.epoch,
            snapshot=self._restored(restore=action.restore),
            verify_for_s=self._policy.verify_for_s,
            teardown_s=self._policy.teardown_s,
            clock=self._clock,
            tell=self._tell,
            keep=self._keep,
        )

    async def _live(self, life: Life) -> None:
        """Start it, wait for its proof, and watch it from there."""
        await awaited("start", self.component, self.component.start(life))
        life.built()
        await self._clock.sleep(self._policy.verify_for_s)
        if self._stall_after_s is None:
            life.lived()
        else:
            await life.proven.wait()
            await self._stalled(life, self._stall_after_s)

    async def _stalled(self, life: Life, allowed_s: float) -> None:
        """Report when progress has stopped; as much silence as we are late ourselves is excused."""
        while True:
            heard_s = life.last_progress_s
            assert heard_s is not None  # proven by progress alone
            await self._clock.sleep(heard_s + allowed_s - self._clock.monotonic_s())
            late_s = self._clock.monotonic_s() - heard_s - allowed_s
            await self._clock.sleep(late_s)
            if life.last_progress_s == heard_s:
                text = f"no progress for {allowed_s + 2 * late_s:.1f} s (allowed {allowed_s:g} s)"
                life.report(Fault(origin="health", code="stall", text=text))
                return

    async def _end(self, life: Life, grace_s: float) -> None:
        """Save its snapshot, tear it down, and say Gone; or give it up after twice the grace."""
        self._take_snapshot(life)
        cut_off = True
        while cut_off:  # by whoever cancels all tasks, perhaps before its first step
            teardown = self._own(self._tear_down(life, grace_s))
            in_time = await within(teardown, 2 * grace_s, self._clock)
            cut_off = teardown.cancelled()
        life.over = True
        if in_time:
            self._tell(Gone(id=self._id, epoch=life.epoch))
            return
        # The core has abandoned it by now, and told so.
        teardown.cancel()

    async def _tear_down(self, life: Life, grace_s: float) -> None:
        """Cancel the start or its watch, call the component, and end the tasks that it left."""
        assert life.main is not None
        await self._cancelled({life.main}, grace_s)
        while not life.torn_down:
            # A task of its own: a cancelled task that it awaits would else look like our own end.
            teardown = self._own(self._teardown(life))
            try:
                await asyncio.wait({teardown})
            finally:
                teardown.cancel()
            if teardown.cancelled():
                logger.error("%s: the teardown of run %d was cancelled", self._id, life.epoch)
        await self._cancelled(life.tasks, grace_s)

    async def _teardown(self, life: Life) -> None:
        life.torn_down = True  # once is what it can expect, also where that is cancelled
        try:
            await awaited("teardown", self.component, self.component.teardown())
        except (Exception, SystemExit):
            logger.exception("%s: the teardown of run %d broke off", self._id, life.epoch)

    async def _cancelled(self, tasks: set[asyncio.Task[Any]], grace_s: float) -> None:
        """Cancel tasks and wait for their end; those that swallow it are closed after `grace_s`."""
        left = [task for task in tasks if not task.done()]
        if not left:
            return
        for task in left:
            task.cancel()
        ended = asyncio.gather(*left, return_exceptions=True)
        if not await within(ended, grace_s, self._clock):
            for task in left:
                close(task)
            await ended

    def _restored(self, *, restore: bool) -> Snapshot | None:
        try:
            if not restore and self._snapshots.load_snapshot(self._id) is not None:
                self._snapshots.set_aside_snapshot(self._id, SET_ASIDE)
            return self._snapshots.load_snapshot(self._id)
        except Exception:
            logger.exception("%s: its snapshot can't be read: it starts clean", self._id)
            return None

    def _take_snapshot(self, life: Life) -> None:
        if not life.proven.is_set():
            return  # what it holds proved nothing, and may be why it failed
        try:
            snapshot = as_snapshot(self.component, self.component.snapshot())
        except (Exception, SystemExit):
            logger.exception("%s: it gave no snapshot: the last one stays", self._id)
            return
        if snapshot is not None:
            self._keep(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        try:
            self._snapshots.save_snapshot(self._id, snapshot)
        except Exception:
            logger.exception("%s: its snapshot can't be saved: the last one stays", self._id)

    def _tell(self, event: Event) -> None:
        if self._post is not None:
            self._post(event)

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"end of {self._id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
