"""What is said of a kernel, its limits and its clock: each by a machine that is made of files."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_manager.doctor import Level, kernel, timekeeping
from stream_manager.doctor.finding import Finding


def write(root: Path, **files: str) -> None:
    """Write files of a machine; "__" stands for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def one(findings: Iterator[Finding]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


def test_a_kernel_without_pidfds_is_a_problem() -> None:
    """A sandbox that forbids them reads the same as a kernel that lacks them."""

    def refuse(_pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    assert one(kernel.processes()).level is Level.OK
    refused = one(kernel.processes(refuse))
    assert refused.level is Level.PROBLEM
    assert "Function not implemented" in refused.found


@pytest.mark.parametrize(
    ("streams", "limits", "level", "mend"),
    [
        (None, (1024, 4096), Level.OK, ""),
        (100, (1024, 4096), Level.OK, ""),
        (200, (1024, 4096), Level.PROBLEM, "ulimit -n 1264"),
        (
            200,
            (1024, 1024),
            Level.PROBLEM,
            "as root: ulimit -n 1264, or LimitNOFILE=1264 in the systemd unit",
        ),
        (200, (1024, resource.RLIM_INFINITY), Level.PROBLEM, "ulimit -n 1264"),
        (9999, (resource.RLIM_INFINITY, resource.RLIM_INFINITY), Level.OK, ""),
    ],
)
def test_open_files_are_counted_for_the_streams_there_are(
    streams: int | None, limits: tuple[int, int], level: Level, mend: str
) -> None:
    """Without a configuration it is said for how many streams the limit does."""
    finding = one(kernel.open_files(streams, limits))
    assert (finding.level, finding.mend) == (level, mend)
    if streams is None:
        assert finding.found == "at most 1024: enough for 160 streams"


@pytest.mark.parametrize(
    ("soft", "hard", "level", "enough_for", "mend"),
    [
        (69, 4096, Level.PROBLEM, 0, "ulimit -n 124"),
        (70, 4096, Level.WARNING, 1, "ulimit -n 124"),
        (123, 4096, Level.WARNING, 9, "ulimit -n 124"),
        (
            64,
            64,
            Level.PROBLEM,
            0,
            "as root: ulimit -n 124, or LimitNOFILE=124 in the systemd unit",
        ),
        (124, 124, Level.OK, 10, ""),
    ],
)
def test_a_limit_that_is_enough_for_few_streams_is_never_fine(
    soft: int, hard: int, level: Level, enough_for: int, mend: str
) -> None:
    """For none it is a problem, below ten a warning; the mend is enough for ten."""
    finding = one(kernel.open_files(None, (soft, hard)))
    assert (finding.level, finding.mend) == (level, mend)
    assert finding.found == f"at most {soft}: enough for {enough_for} streams"


def test_pressure_is_read_or_missed(tmp_path: Path) -> None:
    """What can't be read is named, with the kernel's option."""
    write(tmp_path, proc__pressure__cpu="some avg10=0.00", proc__pressure__memory="some")
    missing = one(kernel.pressure(tmp_path))
    assert missing.level is Level.WARNING
    assert missing.found == "can't be read: io (No such file or directory)"
    assert "psi=1" in missing.mend
    write(tmp_path, proc__pressure__io="some avg10=0.00")
    assert one(kernel.pressure(tmp_path)).level is Level.OK


@pytest.mark.parametrize(
    ("own", "writable", "level", "words"),
    [
        ("0::/us\n", True, Level.OK, "version 2, delegated"),
        ("0::/us\n", False, Level.WARNING, "is not delegated to this user"),
        ("0::/elsewhere\n", True, Level.UNKNOWN, "can't be seen from here"),
        ("4:memory:/us\n0::/us\n", True, Level.WARNING, "version 1, or both"),
        ("4:memory:/us\n", True, Level.WARNING, "version 1, or both"),
    ],
)
def test_cgroups_are_ours_foreign_or_old(
    tmp_path: Path, own: str, level: Level, words: str, *, writable: bool
) -> None:
    """What can't be seen is unknown, never fine."""
    write(tmp_path, proc__self__cgroup=own, **{"sys__fs__cgroup__us__cgroup.procs": ""})
    finding = one(kernel.cgroups(tmp_path, lambda _: writable))
    assert finding.level is level
    assert words in finding.found
    assert bool(finding.mend) == (level is not Level.OK)


def test_without_proc_cgroups_are_unknown(tmp_path: Path) -> None:
    """A jail without /proc hides them."""
    assert one(kernel.cgroups(tmp_path)).level is Level.UNKNOWN


def test_a_container_is_told_to_ask_its_host(tmp_path: Path) -> None:
    """The kernel's options and the clock are the host's."""
    write(tmp_path, **{".dockerenv": ""})
    assert one(kernel.pressure(tmp_path)).mend.startswith("on the host: ")
    clock = one(timekeeping.clock(tmp_path, lambda: 0))
    assert clock.level is Level.UNKNOWN
    assert clock.mend.startswith("on the host: ")


def test_a_clock_is_as_good_as_who_keeps_it(tmp_path: Path) -> None:
    """Timesyncd's mark or the kernel's word; without either times will drift."""
    unsynchronised = timekeeping.STA_UNSYNC | 1
    wrong = one(timekeeping.clock(tmp_path, lambda: unsynchronised))
    assert wrong.level is Level.WARNING
    assert "set-ntp true" in wrong.mend
    assert one(timekeeping.clock(tmp_path, lambda: 1)).level is Level.OK
    write(tmp_path, run__systemd__timesync__synchronized="")
    assert one(timekeeping.clock(tmp_path, lambda: unsynchronised)).level is Level.OK


def test_the_kernel_can_be_asked_for_its_clock() -> None:
    """The structure is read where the kernel writes its status: no bit above those it knows."""
    assert 0 <= timekeeping.kernel_status() < 1 << 16
