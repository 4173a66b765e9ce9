"""What the threads of a process are doing, as the kernel tells it even of a stopped one."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "uninterruptible",
    "T": "stopped",
    "t": "traced",
    "Z": "ended",
    "X": "ended",
}
_OF_THE_PROCESS = ("State", "Threads", "VmRSS", "VmSwap", "FDSize", "SigBlk", "SigIgn", "SigCgt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """One thread. waits_in: the kernel's function, empty where it may not be known or none is.

    ticks: processor time in clock ticks. stack: its way into the kernel, which root alone may see.
    """

    id: int
    name: str
    state: str
    waits_in: str
    ticks: int
    stack: str


def threads_of(pid: int) -> list[Thread]:
    """Return the threads of a process, the first one first; none where it has ended."""
    return sorted(_threads(pid), key=lambda it: (it.id != pid, it.id))


def can_not_answer(threads: list[Thread]) -> bool:
    """Tell whether no thread would run a signal's handler: all are stopped, or in the kernel."""
    return all(it.state in "TtDZX" for it in threads)


def told(pid: int, threads: list[Thread]) -> str:
    """Return all that as text."""
    lines = [*_status(pid), "", f"{'thread':>8}  {'state':<16}{'ticks':>7}  {'waits in':<24} name"]
    for it in threads:
        state = f"{it.state} {_STATES.get(it.state, '')}"
        lines.append(f"{it.id:>8}  {state:<16}{it.ticks:>7}  {it.waits_in:<24} {it.name}")
    for it in threads:
        if it.stack:
            lines += ["", f"kernel stack of {it.id} ({it.name}):", it.stack]
    return "\n".join(lines) + "\n"


def _threads(pid: int) -> Iterator[Thread]:
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            name, _, rest = _read(task / "stat").partition("(")[2].rpartition(")")
            fields = rest.split()
            if not fields:
                continue
            wchan = _read(task / "wchan").strip()
            yield Thread(
                id=int(task.name),
                name=name,
                state=fields[0],
                waits_in="" if wchan == "0" else wchan,
                ticks=int(fields[11]) + int(fields[12]),
                stack=_read(task / "stack").strip(),
            )


def _status(pid: int) -> list[str]:
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return [line for line in lines if line.partition(":")[0] in _OF_THE_PROCESS]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # the thread has ended, or this is not for us to see
        return ""
