"""Memory limits that the kernel keeps to the byte: a cgroup v2 for each worker that has one.

They lie beside our own group, in a parent that was delegated to us and holds no process itself,
as `Delegate=memory` and `DelegateSubgroup=` make it. (In a group that holds the manager itself no
other may have limits; and one moved out of the manager's way would keep systemd from starting
the next manager there.)
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

_DELEGATED = ("user.delegate", "trusted.delegate")  # systemd's mark


class Cgroups:
    """Makes and removes the groups; `parent` is None where none can be had."""

    def __init__(self, parent: Path | None) -> None:
        self._parent = parent

    @classmethod
    def of_machine(cls, root: Path = Path("/")) -> Self:
        """Find what was delegated to this process."""
        try:
            own = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return cls(None)
        if len(own) != 1 or not own[0].startswith("0::/") or own[0] == "0::/":
            return cls(None)  # version 1, or nothing above us that we could see
        parent = (root / "sys/fs/cgroup" / own[0].removeprefix("0::/")).parent
        if not (_is_ours(parent) and _limits_memory(parent)):
            return cls(None)
        for left in parent.glob("w-*"):
            with suppress(OSError):  # an earlier manager's worker still lives in it
                left.rmdir()
        return cls(parent)

    @property
    def available(self) -> bool:
        """Whether groups can be made."""
        return self._parent is not None

    def open(self, name: str, memory_bytes: int) -> str:
        """Return a new group whose processes may take so much, or "" where none can be had."""
        if self._parent is None:
            return ""
        group = self._parent / name
        try:
            group.mkdir(exist_ok=True)
            (group / "memory.max").write_text(str(memory_bytes), encoding="ascii")
            with suppress(OSError):  # a kernel without swap accounting
                (group / "memory.swap.max").write_text("0", encoding="ascii")
        except OSError:
            return ""
        return str(group)

    def close(self, group: str) -> bool:
        """Remove a group whose last process has ended; tell whether the limit ended one in it."""
        if not group:
            return False
        place, killed = Path(group), 0
        with suppress(OSError, ValueError):
            events = (place / "memory.events").read_text(encoding="ascii").splitlines()
            counts = dict(line.split() for line in events)
            killed = int(counts.get("oom_kill", "0"))
        with suppress(OSError):
            place.rmdir()
        return killed > 0


def _is_ours(group: Path) -> bool:
    """Tell whether a group was delegated: by systemd's mark, or by its owner."""
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(group, name) == b"1":
                return os.access(group, os.W_OK)
    try:
        return group.stat().st_uid == os.geteuid() != 0
    except OSError:
        return False


def _limits_memory(group: Path) -> bool:
    """Let the groups within have memory limits; tell whether they have."""
    control = group / "cgroup.subtree_control"
    with suppress(OSError):
        if "memory" not in control.read_text(encoding="ascii").split():
            control.write_text("+memory", encoding="ascii")
        return True
    return False
