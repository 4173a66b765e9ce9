"""A stream's worker process as a component: started by a fork or adopted, ended for sure.

One that is asked to end finishes its files first. One that hangs is looked at, for as long as that
takes at the most, and killed: no word reaches it. One that the kernel does not let go is abandoned.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Coroutine
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
from stream_manager.streams.threads import in_thread
from stream_manager.streams.upkeep import Means, Upkeep

# A worker that shows no sign of life for this long hangs; it shows one five times a second.
HANG_AFTER_S = 1.5
EXAMINED_WITHIN_S = 0.25

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
            # Made here and not in the task: a Stop in the same breath must find it.
            process = self._process = self._made(self._upkeep.limited(order))
            self._vitals = process.vitals
            self._hung, self._examination, self.heard_s = False, None, None
            self._life = self._own(self._live(process))
        else:
            self._own(self._finish(action.epoch, self._process, self._life, action.grace_s))

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
        def hear(message: FromWorker) -> None:
            if self._process is not process:
                return
            self.heard_s = self._clock.monotonic_s()
            if isinstance(message, Hello):
                self._met(order.epoch, message)
            else:
                self._owner.hear(message)
            if isinstance(message, Progress):
                self.caught_up.set()

        def lost(why: str) -> None:
            # A process that ends closes its connection too, and its exit tells more: wait for it.
            loop = asyncio.get_running_loop()
            loop.call_later(TERM_GRACE_S, self._silent, process, why)

        process = Process(
            order,
            launcher=self._launcher,
            hear=hear,
            written=self._owner.written,
            lost=lost,
        )
        return process

    def _live(self, process: Process) -> Coroutine[None, None, None]:
        epoch = process.order.epoch

        def born(pid: int) -> None:
            if self._process is process:
                self._upkeep.born(pid, epoch)

        return self._see_off(process, process.live(born))

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
        self._owner.post(Gone(id=self._order.stream, epoch=epoch, abandoned=abandoned))
