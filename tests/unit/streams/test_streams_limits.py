"""What becomes of a worker that takes too much: when it is restarted, and how its end is told."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream_manager.config import Limits
from stream_manager.pipelines.messages import Spawn
from stream_manager.recovery import Fault
from stream_manager.streams import limits as module
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.limits import RESERVED_BYTES, KernelMemory, LimitWatch
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.usage import MIB, Usage, read_usage
from stream_manager.testing import FakeClock

PID = 4711
OWN = "0::/system.slice/stream-manager.service/manager\n"


class Worker:
    """A worker whose memory the test sets, and its watch."""

    def __init__(
        self, tmp_path: Path, limits: Limits, *, recorded: bool = True, root: Path | None = None
    ) -> None:
        self.clock = FakeClock()
        self.log = tmp_path / "cam.log"
        self.vmstat = tmp_path / "vmstat"
        self.vmstat.write_text("oom_kill 0\n")
        self.faults: list[Fault] = []
        self.mib: float | None = 25.0
        self.watch = LimitWatch(
            limits,
            recorded=recorded,
            log=self.log,
            kernel=KernelMemory(
                cgroups=Cgroups(None) if root is None else Cgroups.of_machine(root),
                oom=OutOfMemoryWatch(self.clock, self.vmstat),
            ),
            clock=self.clock,
            fail=self.faults.append,
        )
        order = Spawn(
            stream="cam",
            instance="",
            epoch=3,
            digest="",
            socket_path="/run/w-c0ffee-3.sock",
            log_path="",
        )
        self.order = self.watch.limited(order)
        self.watch.born()

    def read(self, pid: int, at_s: float) -> Usage | None:
        """Stand for read_usage."""
        assert pid == PID
        if self.mib is None:
            return None
        taken = round(self.mib * MIB)
        return Usage(at_s=at_s, memory_bytes=taken, descriptors=18, threads=7)

    def takes(self, mib: float | None) -> list[str]:
        """Let it take so much a second later; return what has been told so far, by code."""
        self.mib = mib
        self.clock.now_s += 1.0
        self.watch.look(PID)
        return [fault.code for fault in self.faults]

    def ends(self, exit_code: int | None) -> Fault:
        """Return what its end is told as."""
        return self.watch.end_of(self.order, exit_code)


def worker(
    patch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    memory: int | None = None,
    above: int | None = None,
    recorded: bool = True,
    root: Path | None = None,
) -> Worker:
    """Make a worker with limits in MiB."""
    limits = Limits(
        memory_bytes=None if memory is None else memory * MIB,
        restart_above_bytes=None if above is None else above * MIB,
    )
    made = Worker(tmp_path, limits, recorded=recorded, root=root)
    patch.setattr(module, "read_usage", made.read)
    return made


def test_a_worker_without_limits_may_take_what_it_likes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is sampled, and that is all."""
    it = worker(monkeypatch, tmp_path)
    assert (it.order.data_max_bytes, it.order.cgroup) == (None, "")
    assert it.takes(9000) == []
    it.watch.boundary()
    assert it.faults == []
    assert it.watch.usage is not None
    assert (it.watch.usage.descriptors, it.watch.usage.threads) == (18, 7)


def test_it_is_sampled_once_a_second(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However often it is looked at, and not at all where no process is."""
    it = worker(monkeypatch, tmp_path)
    it.watch.look(None)
    assert it.watch.usage is None
    it.takes(25)
    first = it.watch.usage
    it.clock.now_s += 0.5
    it.watch.look(PID)
    assert it.watch.usage is first
    it.takes(None)
    assert it.watch.usage is None


def test_past_restart_above_the_next_file_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At the boundary it is told once, with what it took, its growth, and why now."""
    it = worker(monkeypatch, tmp_path, memory=200, above=150)
    it.takes(140)
    it.watch.boundary()
    assert it.takes(160) == []
    assert it.watch.renewal_due
    it.watch.boundary()
    (fault,) = it.faults
    assert (fault.origin, fault.code) == ("limits", "restart-above")
    assert fault.text == (
        "it takes 160.0 MiB of memory (+20.0 MiB/s); restart_above is 150.0 MiB, and its last"
        " file has just ended"
    )
    it.watch.boundary()
    assert it.takes(190) == ["restart-above"]
    it.watch.born()
    it.takes(151)
    it.watch.boundary()
    assert len(it.faults) == 2


@pytest.mark.parametrize(("memory", "patience"), [(200, 175), (None, 225)])
def test_halfway_to_its_limit_no_file_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory: int | None, patience: int
) -> None:
    """Without a limit, half as much again as restart_above is as far as it gets."""
    it = worker(monkeypatch, tmp_path, memory=memory, above=150)
    assert it.takes(patience) == []
    assert it.takes(patience + 1) == ["restart-above"]
    assert f"past {patience}.0 MiB the end of its file is not waited for" in it.faults[0].text


def test_without_a_recording_nothing_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is no file to finish."""
    it = worker(monkeypatch, tmp_path, memory=200, above=150, recorded=False)
    assert it.takes(151) == ["restart-above"]


def test_past_its_limit_it_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel bounds what it may reserve, and we what it takes of that."""
    it = worker(monkeypatch, tmp_path, memory=200)
    assert it.order.data_max_bytes == 200 * MIB + RESERVED_BYTES
    assert it.takes(200) == []
    assert it.takes(201) == ["memory-limit"]
    assert it.faults[0].text == "it takes 201.0 MiB of memory (+1.0 MiB/s); its limit is 200.0 MiB"


@pytest.mark.parametrize("exit_code", [-5, -6, -11, 1])
def test_an_end_after_a_refused_allocation_is_its_limits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exit_code: int
) -> None:
    """The worker's last words tell it from any other crash, but not those of an earlier one."""
    words = "GLib-ERROR **: gmem.c:136: failed to allocate 1000000 bytes"
    it = worker(monkeypatch, tmp_path, memory=200)
    it.log.write_text("something else\n")
    assert it.ends(exit_code).code != "memory-limit"
    it.log.write_text(f"{words}\nTrace\n")
    fault = it.ends(exit_code)
    assert (fault.origin, fault.code) == ("process", "memory-limit")
    assert f"refused more memory by its limit of 200.0 MiB: {words}" in fault.text
    it.watch.born()
    assert it.ends(exit_code).code != "memory-limit"
    it.log.write_text(words)  # a log that was begun anew is shorter than it was
    assert it.ends(exit_code).code == "memory-limit"
    assert it.ends(0).code == "exit:0"


def test_a_refusal_without_a_limit_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody refused it anything on our behalf."""
    it = worker(monkeypatch, tmp_path)
    it.log.write_text("failed to allocate 1000000 bytes")
    assert it.ends(-5).code == "SIGTRAP"


def test_a_sigkill_is_the_kernels_or_somebodys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel's count of kills decides; both are said in words."""
    it = worker(monkeypatch, tmp_path)
    it.takes(77)
    fault = it.ends(-9)
    assert fault.code == "SIGKILL"
    assert fault.text.endswith("sent neither by this manager nor by the kernel for want of memory")
    it.vmstat.write_text("oom_kill 1\n")
    fault = it.ends(-9)
    assert fault.code == "SIGKILL:oom"
    assert fault.text == (
        "the kernel ended it, for the machine had no memory left; at the last look it had 77.0 MiB"
    )


# --- control groups: a directory stands for the kernel's, so that no kernel takes part here ------


@pytest.fixture
def delegated(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Give the groups that bear systemd's mark; not every file system could keep it."""
    marked: set[Path] = set()

    def mark_of(path: Path, name: str) -> bytes:
        if path not in marked or name != "user.delegate":
            raise OSError(f"{path} has no {name}")
        return b"1"

    monkeypatch.setattr(os, "getxattr", mark_of)
    return marked


@pytest.fixture
def root(tmp_path: Path, delegated: set[Path]) -> Path:
    """Give a machine on which the group around the manager's is ours and limits memory."""
    root = tmp_path / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(OWN)
    parent = root / "sys/fs/cgroup/system.slice/stream-manager.service"
    (parent / "manager").mkdir(parents=True)
    (parent / "cgroup.subtree_control").write_text("memory pids\n")
    delegated.add(parent)
    return root


def test_where_groups_are_ours_each_worker_has_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path
) -> None:
    """Its limit is written before it is born, and the kernel's count of kills is believed."""
    it = worker(monkeypatch, tmp_path, memory=200, root=root)
    group = Path(it.order.cgroup)
    assert group == root / "sys/fs/cgroup/system.slice/stream-manager.service/w-c0ffee-3"
    assert (group / "memory.max").read_text() == str(200 * MIB)
    assert (group / "memory.swap.max").read_text() == "0"
    (group / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 0\n")
    assert it.ends(-9).code == "SIGKILL"
    (group / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 1\n")
    fault = it.ends(-9)
    assert fault.code == "memory-limit"
    assert fault.text == "the kernel ended it (SIGKILL) at its limit of 200.0 MiB"


@pytest.mark.parametrize("own", ["0::/\n", "4:memory:/x\n0::/x\n", "", None])
def test_where_no_group_can_be_had_none_is(root: Path, own: str | None) -> None:
    """Version 1, the root, a group above that is hidden, or no /proc: the other limit holds."""
    place = root / "proc/self/cgroup"
    if own is None:
        place.unlink()
    else:
        place.write_text(own)
    assert not Cgroups.of_machine(root).available


def test_a_group_that_was_not_delegated_is_left_alone(root: Path, delegated: set[Path]) -> None:
    """Root could write anywhere: only the mark, or a user's own group, makes one ours."""
    parent = root / "sys/fs/cgroup/system.slice/stream-manager.service"
    delegated.clear()
    assert Cgroups.of_machine(root).available is (os.geteuid() != 0)
    parent.rename(parent.with_name("gone"))
    assert not Cgroups.of_machine(root).available


def test_memory_is_switched_on_in_a_group_that_lacks_it(root: Path) -> None:
    """Where that is refused no group is made; empty ones of an earlier manager are removed."""
    parent = root / "sys/fs/cgroup/system.slice/stream-manager.service"
    (parent / "w-left-1").mkdir()
    (parent / "cgroup.subtree_control").write_text("pids\n")
    groups = Cgroups.of_machine(root)
    assert groups.available
    assert (parent / "cgroup.subtree_control").read_text() == "+memory"
    assert not (parent / "w-left-1").exists()
    assert groups.open("a/b", 1) == ""
    (parent / "cgroup.subtree_control").unlink()
    (parent / "cgroup.subtree_control").mkdir()
    assert not Cgroups.of_machine(root).available


# --- reading a process --------------------------------------------------------------------------


def test_what_a_process_takes_is_read() -> None:
    """Memory that is written to, descriptors that are opened, threads that are started."""
    before = read_usage(os.getpid(), 1.0)
    assert before is not None
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    with ExitStack() as stack:
        files = [stack.enter_context(Path(os.devnull).open()) for _ in range(5)]
        thread.start()
        ballast = b"x" * (64 * MIB)
        after = read_usage(os.getpid(), 2.0)
        go_on.set()
        thread.join()
    assert after is not None
    assert (len(files), len(ballast)) == (5, 64 * MIB)
    assert after.memory_bytes - before.memory_bytes > 60 * MIB
    assert after.descriptors - before.descriptors == 5
    assert after.threads - before.threads == 1


def test_of_a_process_that_is_gone_nothing_is_read() -> None:
    """A pid that nobody has."""
    assert read_usage(2**22 + 1, 0.0) is None
