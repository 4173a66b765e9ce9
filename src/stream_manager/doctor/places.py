"""The directories: whose they are, whether they can be written, on what, and how much is free."""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_manager.config.places import exposure, trouble
from stream_manager.doctor.finding import Finding, ok, problem, warning

GIB = 1 << 30
LITTLE_BYTES = GIB
_NETWORKS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"})
_VOLATILE = frozenset({"tmpfs", "ramfs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """Where a path lies: its type, mount point and device as mountinfo tells, and what is free."""

    kind: str
    mounted_at: str
    device: str
    free_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        """Render for people."""
        free, total = (f"{it / GIB:.1f}" for it in (self.free_bytes, self.total_bytes))
        return f"{self.kind} at {self.mounted_at} ({self.device}), {free} of {total} GiB free"


def file_system(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> FileSystem:
    """Return the file system that `path` is on, or would be made on; raises OSError."""
    nearest = _nearest(path)
    text = str(nearest.resolve())
    best = ("", "unknown", "unknown")
    for line in mountinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        mounted_at = _OCTAL.sub(lambda found: chr(int(found[1], 8)), before.split()[4])
        kind, device, *_ = after.split()
        inside = text == mounted_at or text.startswith(mounted_at.rstrip("/") + "/")
        if inside and len(mounted_at) >= len(best[0]):
            best = (mounted_at, kind, device)
    usage = shutil.disk_usage(nearest)
    return FileSystem(
        mounted_at=best[0],
        kind=best[1],
        device=best[2],
        free_bytes=usage.free,
        total_bytes=usage.total,
    )


def runtime_directory(path: Path) -> Iterator[Finding]:
    """Look whether sockets there are ours alone."""
    yield from _ours("runtime_dir", path) or (ok("runtime_dir", str(path)),)


def state_directory(
    path: Path, on: Callable[[Path], FileSystem] = file_system
) -> Iterator[Finding]:
    """Look whether the journal can be kept there, and be kept well."""
    if wrong := _ours("state_dir", path):
        yield from wrong
        return
    where = on(path)
    if where.kind in _NETWORKS:
        found = f"{path}: {where}; SQLite's locks are not sure on a network"
        yield warning("state_dir", found, 'state_dir = "/var/lib/stream-manager"')
        return
    yield from _judged("state_dir", path, where)


def volume(
    id_: str, path: Path, on: Callable[[Path], FileSystem] = file_system
) -> Iterator[Finding]:
    """Look whether recordings can be kept there."""
    check = f"volume {id_}"
    if reason := trouble(path):
        yield problem(check, f"{path}: {reason}", _own(path))
    else:
        yield from _judged(check, path, on(path))


def _judged(check: str, path: Path, where: FileSystem) -> Iterator[Finding]:
    made = "" if path.exists() else ", to be made"
    found = f"{path}{made}: {where}"
    if where.kind in _VOLATILE:
        mend = "name a directory on a disk: findmnt -t ext4,xfs,btrfs"
        yield warning(check, f"{found}; it is lost when the machine restarts", mend)
    elif where.free_bytes < LITTLE_BYTES:
        yield warning(
            check, f"{found}; that is little", f"du -xh {shlex.quote(str(path))} | sort -h | tail"
        )
    else:
        yield ok(check, found)


def _ours(check: str, path: Path) -> tuple[Finding, ...]:
    if reason := trouble(path):
        return (problem(check, f"{path}: {reason}", _own(path)),)
    if risk := exposure(path):
        quoted = shlex.quote(str(path))
        mend = f"sudo chown {os.geteuid()} {quoted} && chmod go-w {quoted}"
        return (problem(check, f"{path}, {risk}", mend),)
    return ()


def _own(path: Path) -> str:
    return f"sudo install -d -o {os.geteuid()} {shlex.quote(str(path))}"


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
