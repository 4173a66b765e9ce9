"""What the kernel gives: processes watched without races, open files, pressure, cgroups."""

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from stream_manager.doctor.finding import Finding, ok, problem, unknown, warning

# What a manager holds open by itself and for each stream: 15 and 2 were seen, and room is left.
OWN_FILES = 32
FILES_A_STREAM = 3
FEW_STREAMS = 10  # a limit that is not enough for so many was hardly meant
SPARE = 2  # times as many, for clients of the API and a moment in which old and new overlap

_CONTAINER_MARKS = ("run/.containerenv", ".dockerenv", "run/systemd/container")


def processes(open_pidfd: Callable[[int], int] = os.pidfd_open) -> Iterator[Finding]:
    """Try what workers are watched with; old kernels lack it and sandboxes forbid it."""
    release = os.uname().release
    try:
        os.close(open_pidfd(os.getpid()))
    except OSError as error:
        found = f"{release} refuses pidfd_open ({error.strerror}): no worker can be watched"
        mend = "use Linux 5.3 or newer; in a container: a seccomp profile that allows pidfd_open"
        yield problem("kernel", found, mend)
    else:
        yield ok("kernel", f"Linux {release}, with pidfds")


def open_files(streams: int | None, limits: tuple[int, int] | None = None) -> Iterator[Finding]:
    """Compare the limit on open files with what `streams` need; None: tell for how many it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE) if limits is None else limits
    if soft == resource.RLIM_INFINITY:
        yield ok("open files", "no limit")
        return
    if streams is None:
        enough_for = max(soft // SPARE - OWN_FILES, 0) // FILES_A_STREAM
        found = f"at most {soft}: enough for {enough_for} streams"
        if enough_for >= FEW_STREAMS:
            yield ok("open files", found)
        else:
            tell = warning if enough_for else problem
            yield tell("open files", found, _raise_open_files(_needed(FEW_STREAMS), hard))
        return
    needed = _needed(streams)
    found = f"at most {soft}, and {needed} are needed (streams: {streams})"
    if soft >= needed:
        yield ok("open files", found)
        return
    yield problem("open files", found, _raise_open_files(needed, hard))


def pressure(root: Path = Path("/")) -> Iterator[Finding]:
    """Read the pressure of CPU, memory and disks as the kernel measures it (PSI)."""
    missing = []
    for name in ("cpu", "memory", "io"):
        try:
            (root / "proc/pressure" / name).read_text(encoding="ascii")
        except OSError as error:
            missing.append(f"{name} ({error.strerror})")
    if missing:
        found = f"can't be read: {', '.join(missing)}"
        yield warning("pressure", found, _boot_with("psi=1", root))
    else:
        yield ok("pressure", "of cpu, memory and io is measured (PSI)")


def cgroups(
    root: Path = Path("/"), writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
) -> Iterator[Finding]:
    """See whether cgroup v2 is the one there is, and whether our part of it is ours to divide."""
    try:
        own = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield unknown("cgroups", f"/proc/self/cgroup: {error.strerror}", "mount /proc")
        return
    if len(own) != 1 or not own[0].startswith("0::"):
        found = "version 1, or both: a worker's memory is bounded by RLIMIT_DATA alone"
        option = "systemd.unified_cgroup_hierarchy=1"
        yield warning("cgroups", found, _boot_with(option, root))
        return
    group = root / "sys/fs/cgroup" / own[0].removeprefix("0::").lstrip("/")
    if not (group / "cgroup.procs").exists():
        found = f"version 2, but {group} can't be seen from here"
        yield unknown("cgroups", found, "mount the cgroup2 file system on /sys/fs/cgroup")
    elif not writable(group):
        found = f"version 2, but {group} is not delegated to this user"
        mend = "Delegate=memory and DelegateSubgroup=manager in the systemd unit"
        yield warning("cgroups", found, mend)
    else:
        yield ok("cgroups", "version 2, delegated")


def in_container(root: Path) -> bool:
    """Tell whether much of what is seen here is the host's to change."""
    return any((root / mark).exists() for mark in _CONTAINER_MARKS)


def _needed(streams: int) -> int:
    return SPARE * (OWN_FILES + FILES_A_STREAM * streams)


def _raise_open_files(needed: int, hard: int) -> str:
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"as root: ulimit -n {needed}, or LimitNOFILE={needed} in the systemd unit"
    return f"ulimit -n {needed}"


def _boot_with(option: str, root: Path) -> str:
    edit = f"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{option} /' /etc/default/grub"
    where = "on the host: " if in_container(root) else ""
    return f"{where}{edit} && sudo update-grub && sudo reboot"
