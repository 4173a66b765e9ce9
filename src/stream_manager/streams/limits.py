"""How much one stream's worker takes, and what becomes of it when that is too much.

    sample, once a second -> past `memory`: its limit, ended at once
                          -> past `restart_above`: restarted when the next file begins, or halfway
                             to `memory`
    exit status           -> ended for its memory, or by something else

The kernel holds the limit too: cgroup v2 where we may divide ours, else RLIMIT_DATA, which counts
what a process reserves and not what it uses, and so needs RESERVED_BYTES on top.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from stream_manager.clock import Clock
from stream_manager.config import Limits
from stream_manager.pipelines.messages import Spawn
from stream_manager.recovery import Fault, exit_fault
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.usage import MIB, Usage, mib, read_usage

SAMPLE_EVERY_S = 1.0
# Of the stacks of sixty threads, 8 MiB each, hardly a page is used.
RESERVED_BYTES = 512 * MIB
# Without `memory`: so far above `restart_above` the end of a file is not waited for.
PATIENCE = 1.5
# What GLib, libstdc++, Python and the C library say when there is no more; in the end of a log.
REFUSED = ("failed to allocate", "std::bad_alloc", "MemoryError", "annot allocate memory")
LAST_WORDS_BYTES = 4096
# How a process ends that was refused memory: GLib's trap, an abort, a null pointer, Python's exit.
ENDS = frozenset({-signal.SIGTRAP, -signal.SIGABRT, -signal.SIGSEGV, 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelMemory:
    """What the kernel does about memory: groups that have limits, and its count of kills."""

    cgroups: Cgroups
    oom: OutOfMemoryWatch


class LimitWatch:
    """Watches the memory of one stream's workers, one after another.

    recorded: whether files begin and end, of which it is told by `boundary`. fail: takes what is
    to be told of the worker.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        recorded: bool,
        log: Path,
        kernel: KernelMemory,
        clock: Clock,
        fail: Callable[[Fault], None],
    ) -> None:
        self._limits = limits
        self._recorded = recorded
        self._log = log
        self._log_from = 0
        self._oom = kernel.oom
        self._cgroups = kernel.cgroups
        self._clock = clock
        self._fail = fail
        self._group = ""
        self._told = False
        self._growth = 0.0  # bytes a second, between the newest two samples
        self.usage: Usage | None = None

    @property
    def renewal_due(self) -> bool:
        """Whether the worker is to be restarted as soon as a file begins."""
        above_bytes = self._limits.restart_above_bytes
        return (
            above_bytes is not None
            and self.usage is not None
            and self.usage.memory_bytes > above_bytes
        )

    def limited(self, order: Spawn) -> Spawn:
        """Return the order with the limits that its process should have."""
        memory_bytes = self._limits.memory_bytes
        if memory_bytes is None:
            return order
        self._cgroups.close(self._group)  # of one that was not even born
        self._group = self._cgroups.open(Path(order.socket_path).stem, memory_bytes)
        return msgspec.structs.replace(
            order, cgroup=self._group, data_max_bytes=memory_bytes + RESERVED_BYTES
        )

    def born(self) -> None:
        """Begin to watch a new worker."""
        self.usage, self._told, self._growth = None, False, 0.0
        try:
            self._log_from = self._log.stat().st_size
        except OSError:
            self._log_from = 0

    def look(self, pid: int | None) -> None:
        """Take a sample if it is time for one, and judge it."""
        now_s, before = self._clock.monotonic_s(), self.usage
        if pid is None or (before is not None and now_s - before.at_s < SAMPLE_EVERY_S):
            return
        self.usage = usage = read_usage(pid, now_s)
        if usage is None:
            return
        if before is not None:
            self._growth = (usage.memory_bytes - before.memory_bytes) / (now_s - before.at_s)
        memory_bytes = self._limits.memory_bytes
        if memory_bytes is not None and usage.memory_bytes > memory_bytes:
            self._tell("memory-limit", f"its limit is {mib(memory_bytes)}")
        elif self.renewal_due and not self._recorded:
            self._renew("it has no files to wait for")
        elif self.renewal_due and usage.memory_bytes > self._patience_bytes:
            self._renew(f"past {mib(self._patience_bytes)} the end of its file is not waited for")

    def boundary(self) -> None:
        """Hear that a file has ended and the next one has begun."""
        if self.renewal_due:
            self._renew("its last file has just ended")

    def end_of(self, order: Spawn, exit_code: int | None) -> Fault:
        """Return what the end of the worker was: of want of memory, or what its exit says."""
        fault, usage = exit_fault(exit_code), self.usage
        had = "" if usage is None else f"; at the last look it had {mib(usage.memory_bytes)}"
        memory_bytes = self._limits.memory_bytes
        killed = self._cgroups.close(order.cgroup)
        if memory_bytes is not None:
            limit = f"its limit of {mib(memory_bytes)}"
            if killed:
                text = f"the kernel ended it ({fault.code}) at {limit}{had}"
                return replace(fault, code="memory-limit", text=text)
            if exit_code in ENDS and (words := self._refusal()):
                text = f"it ended with {fault.code}, refused more memory by {limit}{had}: {words}"
                return replace(fault, code="memory-limit", text=text)
        if fault.code != "SIGKILL":
            return fault
        if self._oom.killed_lately():
            text = f"the kernel ended it, for the machine had no memory left{had}"
            return replace(fault, code="SIGKILL:oom", text=text)
        text = "SIGKILL, sent neither by this manager nor by the kernel for want of memory"
        return replace(fault, text=f"the process was ended by {text}")

    @property
    def _patience_bytes(self) -> float:
        """Up to where the end of a file is waited for, past `restart_above`."""
        above_bytes, memory_bytes = self._limits.restart_above_bytes, self._limits.memory_bytes
        assert above_bytes is not None
        return PATIENCE * above_bytes if memory_bytes is None else (above_bytes + memory_bytes) / 2

    def _renew(self, why: str) -> None:
        """Have the worker replaced in good order, or by a successor that is brought up first."""
        assert self._limits.restart_above_bytes is not None
        above = f"restart_above is {mib(self._limits.restart_above_bytes)}"
        self._tell("restart-above", f"{above}, and {why}")

    def _tell(self, code: str, why: str) -> None:
        """Tell it once of each worker: it is ending from then on."""
        assert self.usage is not None
        if self._told:
            return
        self._told = True
        grew = f"{self._growth / MIB:+.1f} MiB/s"
        text = f"it takes {mib(self.usage.memory_bytes)} of memory ({grew}); {why}"
        self._fail(Fault(origin="limits", code=code, text=text))

    def _refusal(self) -> str:
        """Return the line in which the worker said that it was refused memory, if it did."""
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, 2)
                begun = self._log_from if self._log_from <= size else 0
                log.seek(max(begun, size - LAST_WORDS_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((it.strip() for it in reversed(lines) if any(no in it for no in REFUSED)), "")
