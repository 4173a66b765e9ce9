"""What is kept of a component's process: where to find it, what it may take, how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from stream_manager.clock import Clock
from stream_manager.config import Limits
from stream_manager.evidence import Examination, Keeper
from stream_manager.pipelines.identity import start_ticks
from stream_manager.pipelines.messages import Spawn
from stream_manager.recovery import Fault
from stream_manager.store import Store
from stream_manager.streams.casebook import Casebook
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.limits import KernelMemory, LimitWatch
from stream_manager.streams.process import in_words
from stream_manager.streams.processes import boot_id
from stream_manager.streams.snapshots import Snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the processes of all streams share; `socket_dir` is where they listen."""

    launcher: Launcher
    kernel: KernelMemory
    evidence: Keeper
    store: Store
    clock: Clock
    socket_dir: Path


class Upkeep:
    """Follows one component's processes, one after the other.

    order: what they are spawned by, its `stream` the component. recorded: whether one writes files.
    fail: told why the living one has to go.
    """

    def __init__(
        self,
        order: Spawn,
        *,
        limits: Limits,
        recorded: bool,
        snapshots: Snapshots,
        means: Means,
        fail: Callable[[Fault], None],
    ) -> None:
        self._id = order.stream
        self._store = means.store
        self._snapshots = snapshots
        self.limits = LimitWatch(
            limits,
            recorded=recorded,
            log=Path(order.log_path),
            kernel=means.kernel,
            clock=means.clock,
            fail=fail,
        )
        self.casebook = Casebook(order, keep=means.evidence.keep, clock=means.clock)

    def limited(self, order: Spawn) -> Spawn:
        """Return the order with the limits of its process."""
        return self.limits.limited(order)

    def born(self, pid: int, epoch: int) -> None:
        """Note a new process, so that a later manager can find it."""
        self._store.save_worker(self._id, pid, start_ticks(pid) or 0, boot_id(), epoch)
        self._snapshots.note_epoch(self._id, epoch)
        self.casebook.born(pid, epoch)
        self.limits.born()

    def examined(self, epoch: int, examination: Examination) -> None:
        """Note what was seen of a process that hangs."""
        self.casebook.examined(epoch, examination)

    def ended(self, order: Spawn, exit_code: int | None, killed_by: Signals | None) -> Fault:
        """Note how a process ended; return what that was."""
        fault = self.limits.end_of(order, exit_code)
        self.casebook.ended(order.epoch, in_words(exit_code, killed_by))
        return fault

    def died(self) -> None:
        """Note that there is none to be found."""
        self._store.forget_worker(self._id)
