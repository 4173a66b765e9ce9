"""What processes cost, as the kernel counts it. Each function raises OSError for one that ended."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Seconds of all cores since the machine's start."""

    idle_s: float
    total_s: float

    def idle_share_since(self, before: "Processor") -> float:
        """Return which share of all cores had nothing to do, 0 to 1."""
        return (self.idle_s - before.idle_s) / (self.total_s - before.total_s)


def processor() -> Processor:
    """Read the cores' counters. Waiting for a disk counts as idle; guests are counted in user."""
    ticks = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return Processor(idle_s=(ticks[3] + ticks[4]) * TICK_S, total_s=sum(ticks) * TICK_S)


def cpu_s(pid: int) -> float:
    """Return the seconds of processor time that a process has taken, all its threads together."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S


def parent(pid: int) -> int:
    """Return whose child a process is."""
    return int(_stat(pid)[1])


def command(pid: int) -> Sequence[str]:
    """Return what a process was started with; nothing for one that has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return ()


def pss_mb(pid: int) -> float:
    """Return its memory, what it shares divided by those who share it, in 10^6 bytes."""
    return _field_kib(PROC / str(pid) / "smaps_rollup", "Pss:") * 1024 / 1e6


def rss_mb(pid: int) -> float:
    """Return its resident memory, shared pages in full, in 10^6 bytes."""
    return _field_kib(PROC / str(pid) / "status", "VmRSS:") * 1024 / 1e6


def children(pid: int) -> Sequence[int]:
    """Return the processes that `pid` started and that live."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                if parent(int(entry.name)) == pid:
                    found.append(int(entry.name))
            except OSError:  # it ended while we looked
                continue
    return found


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold spaces; fields are counted from behind it.
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _field_kib(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ProcessLookupError(f"{path} has no {name}")
