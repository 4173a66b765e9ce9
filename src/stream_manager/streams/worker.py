"""A stream's worker process as a component: started by a fork or adopted, ended for sure.

One that is asked to end finishes its files first. One that hangs is looked at, for as long as that
takes at the most, and killed: no word reaches it. One that the kernel does not let go is abandoned.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from stream_manager.evidence import examine
from stream_manager.pipelines.messages import (
    DUMP_SIGNAL,
    VERSION,
    FromWorker,
    Hello,
    Progress,
    Spawn,
)
from stream_manager.pipelines.vitals import Vitals
from stream_manager.recovery import Action, Event, Failed, Fault, Gone, Start, Started
from stream_manager.streams.launcher import SpawnRefused
from stream_manager.streams.meeting import Met, socket_path
from stream_manager.streams.process import KILLED_WITHIN_S, TERM_GRACE_S, Process
from stream_manager.streams.successor import Successor
from stream_manager.streams.threads import in_thread
from stream_manager.streams.upkeep import Means, Upkeep

# A worker that shows no sign of life for this long hangs; it shows one five times a second.
HANG_AFTER_S = 1.5
EXAMINED_WITHIN_S = 0.25
# What a process has for its files that ends beside the one that runs.
FINISHED_WITHIN_S = 4.0

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """Whoever a worker works for."""

    def post(self, event: Event) -> None:
        """Take what the supervisor should know."""
        ...

    def hear(self, message: FromWorker) -> None:
        """Take what the worker says, but for its Hello."""
        ...

    async def written(self) -> bool:
        """Return whether what was heard is on disk, once that is known."""
        ...

    def died(self) -> None:
        """Note that it is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where a process finishes beside its heir: who hears it from now on, and of its end."""

    hear: Callable[[FromWorker], None]
    over: Callable[[], None]


class Worker:
    """Component: one process for one stream. `order` is what to spawn, but for epoch and socket."""

    def __init__(self, order: Spawn, owner: Owner, upkeep: Upkeep, means: Means) -> None:
        self._order = order
        self._owner = owner
        self._upkeep = upkeep
        self._socket_dir = means.socket_dir
        self._launcher = means.launcher
        self._clock = means.clock
        self._process: Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._heir: Successor | None = None  # of the process that runs
        self._inherited: Successor | None = None
        self._room: Room | None = None
        self._beside: set[asyncio.Task[None]] = set()  # the ends of others than the one that runs
        self._tasks: set[asyncio.Task[None]] = set()
        self._hung = False
        self._examination: asyncio.Task[None] | None = None
        self._abandoned: dict[int, int] = {}
        self._vitals = Vitals()  # of the newest process
        self.heard_s: float | None = None
        self.caught_up = asyncio.Event()  # it has told all that an adopted one had kept

    @property
    def abandoned(self) -> tuple[int, ...]:
        """The earlier processes that could not be ended; nothing that they do counts any more."""
        return tuple(self._abandoned.values())

    @property
    def pid(self) -> int | None:
        """The process that runs now, or None."""
        return self._process.pid if self._process is not None else None

    @property
    def last_media_s(self) -> float | None:
        """When the newest process last had video, to the fifth of a second; None if not known."""
        self._vitals.look()
        return self._vitals.last_media_s

    def begin(self, action: Action) -> None:
        """Begin to fork, or to end, a process."""
        if isinstance(action, Start):
            path = socket_path(self._socket_dir, self._order.stream, action.epoch)
            order = msgspec.structs.replace(self._order, epoch=action.epoch, socket_path=str(path))
            if self._process is not None:
                self._abandon(self._process)
            heir, self._heir = self._heir, None
            if heir is not None and heir.lives and heir.epoch == action.epoch:
                self._inherit(heir)
                return
            # Made here and not in the task: a Stop in the same breath must find it.
            process = self._process = self._made(self._upkeep.limited(order))
            self._vitals = process.vitals
            self._hung, self._examination, self.heard_s = False, None, None
            self._life = self._own(self._live(process))
        elif self._room is not None and not self._hung:
            self._leave(action.epoch, self._room)
        else:
            self._own(self._finish(action.epoch, self._process, self._life, action.grace_s))

    def expect(self, heir: Successor | None) -> None:
        """Let the next run be this process, if it lives and has the epoch; None: fork, as usual."""
        self._heir, self._room = heir, None

    def make_room(self, room: Room) -> None:
        """Let the process that runs finish beside its heir, at the Stop that comes now."""
        self._room = room

    def inherited(self, heir: Successor) -> bool:
        """Tell whether this heir is, or was, the process that runs."""
        return self._inherited is heir

    def see_off(
        self, process: Process, life: asyncio.Task[object], over: Callable[[], None]
    ) -> None:
        """End a process that is not the one that runs, and say when that is over."""

        async def end() -> None:
            await process.end(life, FINISHED_WITHIN_S)
            if not life.done():
                self._abandon(process)
            over()

        self._beside.add(task := self._own(end()))
        task.add_done_callback(self._beside.discard)

    def adopt(self, met: Met) -> None:
        """Go on with a process that has outlived its manager, as if we had begun it."""
        epoch = met.hello.epoch
        order = msgspec.structs.replace(
            self._order, epoch=epoch, socket_path=met.path, cgroup=met.hello.cgroup
        )
        process = self._process = self._made(order)
        self._vitals = process.vitals
        self._hung, self._examination = False, None
        self.heard_s = self._clock.monotonic_s()
        process.take(met)
        self._upkeep.born(met.hello.pid, epoch)
        self._life = self._own(self._see_off(process, process.go_on()))

    def _inherit(self, heir: Successor) -> None:
        """Go on with a process that lives already, as if we had begun it."""
        heir.close()
        self._inherited, process = heir, heir.process
        self._process = process
        self._hung, self._examination = False, None
        self.heard_s = self._clock.monotonic_s()
        process.hand_to(*self._ears(process))
        assert process.pid is not None
        self._upkeep.born(process.pid, heir.epoch)
        self._life = self._own(self._see_off(process, heir.life))
        self._owner.post(Started(id=self._order.stream, epoch=heir.epoch))

    def _leave(self, epoch: int, room: Room) -> None:
        """Let the process that runs finish beside its heir, which can take over at once."""
        process, life, self._process, self._room = self._process, self._life, None, None
        if process is not None and life is not None:
            process.hand_to(room.hear, lambda _: None)
            self.see_off(process, life, room.over)
        self._owner.post(Gone(id=self._order.stream, epoch=epoch))

    def send(self, message: Struct) -> bool:
        """Tell the worker something; False if it can't be told."""
        return self._process is not None and self._process.send(message)

    def look(self, *, lag_s: float) -> None:
        """Find out whether the process has gone silent; `lag_s` is our own lateness."""
        now_s = self._clock.monotonic_s()
        # Who has spoken is alive: most looks end here, and read no memory.
        if self.heard_s is not None and now_s - self.heard_s > HANG_AFTER_S + lag_s:
            self._vitals.look()
            silent_s = now_s - max(self.heard_s, self._vitals.at_s or 0.0)
            if silent_s > HANG_AFTER_S + lag_s:
                self.hung(f"the worker has said nothing for {silent_s:.1f} s")

    def hung(self, why: str) -> None:
        """Report that the living process hangs."""
        if self._process is not None and not self._hung:
            self.condemn()
            fault = Fault(origin="health", code="hang", text=why)
            self._failed(self._process.order.epoch, fault)

    def condemn(self) -> None:
        """Take the living process for one that hangs, and begin to look at it: it is past words."""
        if not self._hung:
            self._hung = True
            self.examine()

    def examine(self) -> None:
        """Begin to look at what the threads of the living process are doing; it goes on."""
        if self._process is not None:
            self._examination = self._own(self._examine(self._process))

    @property
    def connected(self) -> bool:
        """Whether there is somebody to talk to, even if nothing can be sent just now."""
        return self._process is not None and self._process.connected

    @property
    def reachable(self) -> bool:
        """Whether what it is told will be done, as far as is known."""
        return self.connected and not self._hung

    def _abandon(self, process: Process) -> None:
        """Fence a process off that is killed and not gone: whatever it still does, we go on."""
        process.fence()
        if process.pid is not None:
            self._abandoned[process.order.epoch] = process.pid
        if self._process is process:
            self._process = None
            self._upkeep.died()
            self._owner.died()

    async def _examine(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        pid, epoch = process.pid, process.order.epoch
        if pid is not None:
            ask = partial(loop.call_soon_threadsafe, process.kill, DUMP_SIGNAL)
            look = partial(examine, pid, Path(process.order.log_path), ask)
            self._upkeep.examined(epoch, await in_thread(look, f"examine-{pid}"))

    def _own(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run `work` as a task of ours; one that breaks is told whole, and is our bug."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            logger.error("the worker of %s: a task broke", self._order.stream, exc_info=bug)

    def _made(self, order: Spawn) -> Process:
        process = Process(
            order,
            launcher=self._launcher,
            hear=lambda _: None,
            written=self._owner.written,
            lost=lambda _: None,
        )
        process.hand_to(*self._ears(process))
        return process

    def _ears(self, process: Process) -> tuple[Callable[[FromWorker], None], Callable[[str], None]]:
        """Return what hears the process that runs, and what hears that it no longer talks."""

        def hear(message: FromWorker) -> None:
            if self._process is not process:
                return
            self.heard_s = self._clock.monotonic_s()
            if isinstance(message, Hello):
                self._met(process.order.epoch, message)
            else:
                self._owner.hear(message)
            if isinstance(message, Progress):
                self.caught_up.set()

        def lost(why: str) -> None:
            # A process that ends closes its connection too, and its exit tells more: wait for it.
            loop = asyncio.get_running_loop()
            loop.call_later(TERM_GRACE_S, self._silent, process, why)

        return hear, lost

    def _live(self, process: Process) -> Coroutine[None, None, None]:
        epoch = process.order.epoch

        def born(pid: int) -> None:
            if self._process is process:
                self._upkeep.born(pid, epoch)

        async def live() -> int | None:
            await self._alone()
            return await process.live(born)

        return self._see_off(process, live())

    async def _alone(self) -> None:
        """Return when no other process is ending: a successor had the same epoch."""
        if self._beside:
            await asyncio.wait(set(self._beside))

    async def _see_off(self, process: Process, life: Awaitable[int | None]) -> None:
        """Tell of the end of a process, whatever it is."""
        epoch = process.order.epoch
        try:
            code = await life
        except SpawnRefused as error:
            fault = Fault(origin="forkserver", code=error.code, text=str(error))
        else:
            fault = self._upkeep.ended(process.order, code, process.killed_by)
            if self._abandoned.pop(epoch, None) is not None:
                logger.warning("an abandoned worker of %s has ended", self._order.stream)
        if self._process is process:
            self._process = None
            self._upkeep.died()
            self._owner.died()
        # After a Stop this comes in a phase that ignores it.
        self._failed(epoch, fault)

    def _met(self, epoch: int, hello: Hello) -> None:
        if hello.version == VERSION:
            self._owner.post(Started(id=self._order.stream, epoch=epoch))
        else:
            text = f"the worker speaks version {hello.version}, expected {VERSION}"
            self._failed(epoch, Fault(origin="control", code="lost", text=text))

    def _silent(self, process: Process, why: str) -> None:
        if self._process is process:
            text = f"the worker no longer talks: {why}"
            self._failed(process.order.epoch, Fault(origin="control", code="lost", text=text))

    def _failed(self, epoch: int, fault: Fault) -> None:
        self._owner.post(Failed(id=self._order.stream, epoch=epoch, fault=fault))

    async def _finish(
        self,
        epoch: int,
        process: Process | None,
        life: asyncio.Task[None] | None,
        grace_s: float,
    ) -> None:
        """End the process: asked, then SIGTERM, then SIGKILL; say Gone when it is, or abandoned."""
        abandoned = False
        if process is not None and life is not None:
            if self._hung and self._examination is not None:
                await asyncio.wait({self._examination}, timeout=EXAMINED_WITHIN_S)
                process.kill(signal.SIGKILL)
                await asyncio.wait({life}, timeout=KILLED_WITHIN_S)
            else:
                await process.end(life, grace_s)
            if abandoned := not life.done():
                self._abandon(process)
        await self._alone()
        self._owner.post(Gone(id=self._order.stream, epoch=epoch, abandoned=abandoned))
