"""`Life`: one run of a component as its runner sees it: its tasks, its faults, its proof."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from stream_manager.clock import Clock
from stream_manager.errors import UsageError
from stream_manager.recovery import Event, Failed, Fault, Finished, Proved, Started
from stream_manager.supervision.component import Snapshot
from stream_manager.supervision.contained import Contained
from stream_manager.supervision.outcome import exception_fault

CANCELLED = asyncio.CancelledError("it was cancelled, but not by the supervisor")


class Life:
    """Run: one run of a component, with what its `Runner` has to know of it.

    main: the task that starts and watches it; tasks: all that it has now. end: the task that ends
    it, if that was ordered; torn_down: its teardown was called; over: it has ended, or was
    abandoned, and nothing that it says counts.
    """

    def __init__(
        self,
        *,
        id_: str,
        epoch: int,
        snapshot: Snapshot | None,
        verify_for_s: float,
        teardown_s: float,
        clock: Clock,
        tell: Callable[[Event], None],
        keep: Callable[[Snapshot], None],
    ) -> None:
        self.id = id_
        self.epoch = epoch
        self.snapshot = snapshot
        self.teardown_s = teardown_s
        self.clock = clock
        self.main: asyncio.Task[Any] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.end: asyncio.Task[None] | None = None
        self.torn_down = False
        self.over = False
        self.proven = asyncio.Event()
        self.last_progress_s: float | None = None
        self._first_progress_s: float | None = None
        self._verify_for_s = verify_for_s
        self._verified = False
        self._built = False
        self._tell = tell
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def progress(self) -> None:
        """Say that the work advances, as often as you like: it costs a reading of the clock."""
        now_s = self.last_progress_s = self.clock.monotonic_s()
        if self._first_progress_s is None:
            self._first_progress_s = now_s
        elif not self._verified and now_s - self._first_progress_s >= self._verify_for_s:
            self._verified = True
            self._on_loop(self._prove)

    def report(self, fault: Fault | BaseException) -> None:
        """Say that it failed; the supervisor tears it down and decides what follows."""
        if isinstance(fault, BaseException):
            fault = exception_fault(fault)
        if not isinstance(fault, Fault):
            raise UsageError(f"report got {fault!r}: expected an exception (no class) or a Fault")
        self._on_loop(self._tell, Failed(id=self.id, epoch=self.epoch, fault=fault))

    def finish(self) -> None:
        """Say that it has ended by itself, in good order; its restart type tells what follows."""
        self._on_loop(self._tell, Finished(id=self.id, epoch=self.epoch))

    def save(self, snapshot: Snapshot) -> None:
        """Keep what the next start should go on from."""
        if not isinstance(snapshot, Mapping):
            raise UsageError(f"save got {snapshot!r}: expected a dict, or another mapping")
        self._on_loop(self._save, snapshot)

    def create_task(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run `work` as a part of this run: what it raises is a fault, and it ends with the run."""
        if not isinstance(work, Coroutine):
            raise UsageError(f"create_task got {work!r}: expected the call of an async function")
        part = Contained(work, self.report)
        task = asyncio.create_task(part, name=f"{self.id} run {self.epoch}")
        self.tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def built(self) -> None:
        """Say that the start has returned."""
        self._built = True
        self._tell(Started(id=self.id, epoch=self.epoch))
        if self._verified:
            self._prove()

    def lived(self) -> None:
        """Say that it is alive since `verify_for_s`: proof enough without any progress."""
        if self._first_progress_s is None:
            self._verified = True
            self._prove()

    def _save(self, snapshot: Snapshot) -> None:
        if not self.over:
            self._keep(snapshot)

    def _prove(self) -> None:
        if self._built and not self.proven.is_set():
            self.proven.set()
            self._tell(Proved(id=self.id, epoch=self.epoch))

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        error = CANCELLED if task.cancelled() else task.exception()
        if error is not None and self.end is None:
            self.report(error)

    def _on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        if threading.get_ident() == self._thread:
            call(*arguments)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *arguments)
