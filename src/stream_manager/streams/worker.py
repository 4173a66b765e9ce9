"""A stream's worker process as a component: started by a fork or adopted, ended for sure."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from stream_manager.clock import Clock
from stream_manager.pipelines.messages import VERSION, FromWorker, Hello, Progress, Spawn
from stream_manager.recovery import Action, Event, Failed, Fault, Gone, Start, Started, exit_fault
from stream_manager.streams.launcher import Launcher, SpawnRefused
from stream_manager.streams.meeting import Met, socket_path
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.process import TERM_GRACE_S, Process

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

    def born(self, pid: int, epoch: int) -> None:
        """Note a new process, so that a later manager can find it."""
        ...

    def died(self) -> None:
        """Note that it is gone."""
        ...


class Worker:
    """Component: one process for one stream. `order` is what to spawn, but for epoch and socket."""

    def __init__(
        self,
        order: Spawn,
        owner: Owner,
        *,
        socket_dir: Path,
        launcher: Launcher,
        oom: OutOfMemoryWatch,
        clock: Clock,
    ) -> None:
        self._order = order
        self._owner = owner
        self._socket_dir = socket_dir
        self._launcher = launcher
        self._oom = oom
        self._clock = clock
        self._process: Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._hung = False
        self.heard_s: float | None = None
        self.caught_up = asyncio.Event()  # it has told all that an adopted one had kept

    @property
    def pid(self) -> int | None:
        """The process that runs now, or None."""
        return self._process.pid if self._process is not None else None

    def begin(self, action: Action) -> None:
        """Begin to fork, or to end, a process."""
        if isinstance(action, Start):
            path = socket_path(self._socket_dir, self._order.stream, action.epoch)
            order = msgspec.structs.replace(self._order, epoch=action.epoch, socket_path=str(path))
            # Made here and not in the task: a Stop in the same breath must find it.
            process = self._process = self._made(order)
            self._hung, self.heard_s = False, None
            self._life = self._own(self._live(process))
        else:
            self._own(self._finish(action.epoch, self._process, self._life, action.grace_s))

    def adopt(self, met: Met) -> None:
        """Go on with a process that has outlived its manager, as if we had begun it."""
        epoch = met.hello.epoch
        order = msgspec.structs.replace(self._order, epoch=epoch, socket_path=met.path)
        process = self._process = self._made(order)
        self._hung, self.heard_s = False, self._clock.monotonic_s()
        process.take(met)
        self._owner.born(met.hello.pid, epoch)
        self._life = self._own(self._see_off(process, process.go_on()))

    def send(self, message: Struct) -> bool:
        """Tell the worker something; False if it can't be told."""
        return self._process is not None and self._process.send(message)

    def hung(self, silent_s: float) -> None:
        """Report that the living process has said nothing for `silent_s` seconds."""
        if self._process is not None and not self._hung:
            self._hung = True
            self._failed(
                self._process.order.epoch,
                Fault(
                    origin="health",
                    code="hang",
                    text=f"the worker has said nothing for {silent_s:.1f} s",
                ),
            )

    @property
    def connected(self) -> bool:
        """Whether there is somebody to talk to, even if nothing can be sent just now."""
        return self._process is not None and self._process.connected

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
        return self._see_off(process, process.live(lambda pid: self._owner.born(pid, epoch)))

    async def _see_off(self, process: Process, life: Awaitable[int | None]) -> None:
        """Tell of the end of a process, whatever it is."""
        epoch = process.order.epoch
        try:
            code = await life
        except SpawnRefused as error:
            fault = Fault(origin="forkserver", code=error.code, text=str(error))
        else:
            fault = exit_fault(code)
            if fault.code == "SIGKILL" and self._oom.killed_lately():
                fault = Fault(
                    origin="process", code="SIGKILL:oom", text="the kernel ended it for memory"
                )
        if self._process is process:
            self._process = None
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
        """End the process: asked, then SIGTERM, then SIGKILL; say Gone when it is."""
        if process is not None and life is not None:
            await process.end(life, grace_s if not self._hung else TERM_GRACE_S, ask=not self._hung)
        self._owner.post(Gone(id=self._order.stream, epoch=epoch))
