"""Real processes and threads under a supervisor on the real clock: faults, and bounded ends."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from os import kill
from pathlib import Path

import pytest
from tests.integration.waiting import wait_for

from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, Cause, Phase, RecoveryPolicy, RestartType
from stream_manager.supervision import Run, Subprocess, Supervisor, ThreadFunction
from stream_manager.supervision.components import output

pytestmark = pytest.mark.media

POLICY = RecoveryPolicy(
    backoff=Backoff(base_s=0.05, cap_s=0.1), verify_for_s=0.1, teardown_s=0.5, start_deadline_s=10.0
)
PATIENCE_S = 30.0
IGNORES_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
WITH_A_CHILD = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
SLEEPS = "; import time; time.sleep(600)"

Scene = Callable[[Supervisor], Coroutine[None, None, None]]


def supervised(scene: Scene) -> float:
    """Play a scene in a supervisor's block, and return how long leaving the block took."""

    async def play() -> float:
        async with asyncio.timeout(PATIENCE_S):
            async with Supervisor() as supervisor:
                await scene(supervisor)
                left_s = time.monotonic()
            return time.monotonic() - left_s

    return asyncio.run(play())


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    await asyncio.to_thread(wait_for, condition)


async def content(log: Path) -> str:
    """Return what a program has printed, once there is a line."""
    await until(lambda: "\n" in printed(log))
    return printed(log)


def printed(log: Path) -> str:
    """Return what a program has printed, and what was put aside of it."""
    return "".join(it.read_text() for it in sorted(log.parent.glob(f"{log.name}*"), reverse=True))


def python(code: str) -> list[str]:
    """Return the arguments that run `code`."""
    return [sys.executable, "-S", "-c", code]


def test_a_killed_process_is_started_again() -> None:
    """Its signal names the fault, and the first crash after proof waits for nothing."""
    pids: list[int] = []

    async def scene(supervisor: Supervisor) -> None:
        program = Subprocess(["sleep", "600"])
        await supervisor.add("sleeper", program, policy=POLICY)
        await supervisor.wait_until("sleeper", Phase.RUNNING)
        assert program.pid is not None
        pids.append(program.pid)
        kill(program.pid, signal.SIGKILL)
        await supervisor.wait_until("sleeper", Phase.TEARING_DOWN)
        await supervisor.wait_until("sleeper", Phase.RUNNING)
        status = supervisor.status("sleeper")
        assert (status.epoch, status.cause) == (2, Cause.CRASH)
        assert status.last_fault is not None
        assert status.last_fault.code == "SIGKILL"
        pids.append(program.pid)

    supervised(scene)
    assert not any(map(alive, pids))


def test_a_process_that_ignores_sigterm_is_killed_in_its_time(tmp_path: Path) -> None:
    """The block is left after `teardown_s` and a little, and nothing of it lives."""
    pids: list[int] = []

    async def scene(supervisor: Supervisor) -> None:
        program = Subprocess(python(IGNORES_SIGTERM + SLEEPS), log=tmp_path / "log")
        await supervisor.add("stubborn", program, policy=POLICY)
        await content(tmp_path / "log")
        assert program.pid is not None
        pids.append(program.pid)

    took_s = supervised(scene)
    assert POLICY.teardown_s <= took_s < 2 * POLICY.teardown_s
    assert not alive(pids[0])


@pytest.mark.parametrize("code", [WITH_A_CHILD, WITH_A_CHILD + SLEEPS])
def test_what_a_process_started_goes_with_it(code: str, tmp_path: Path) -> None:
    """Also where the process itself has ended first, and its child holds the log."""
    children: list[int] = []

    async def scene(supervisor: Supervisor) -> None:
        program = Subprocess(python(code), log=tmp_path / "log")
        await supervisor.add("family", program, policy=POLICY)
        children.append(int((await content(tmp_path / "log")).split()[0]))
        await supervisor.wait_until("family", Phase.RUNNING, Phase.FAILED, Phase.BACKING_OFF)

    supervised(scene)
    wait_for(lambda: not alive(children[0]))


def test_a_program_that_is_not_there_is_waited_for() -> None:
    """It may be installed yet; the fault says what is missing."""

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("ghost", Subprocess(["/nonexistent/program"]), policy=POLICY)
        await supervisor.wait_until("ghost", Phase.BACKING_OFF)
        status = supervisor.status("ghost")
        assert status.cause is Cause.NOT_FOUND
        assert "/nonexistent/program" in "".join(supervisor.explain("ghost"))

    supervised(scene)


def test_a_process_sees_its_directory_and_its_environment(tmp_path: Path) -> None:
    """Both are handed over as they are, and no shell reads the arguments."""
    log = tmp_path / "log"

    async def scene(supervisor: Supervisor) -> None:
        code = "import os, sys; print(os.getcwd(), os.environ['NAME'], sys.argv[1], flush=True)"
        program = Subprocess(
            [*python(code + SLEEPS), "$NAME; *"], cwd=tmp_path, env={"NAME": "ingest"}, log=log
        )
        await supervisor.add("it", program, policy=POLICY)
        assert await content(log) == f"{tmp_path} ingest $NAME; *\n"

    supervised(scene)


def test_a_log_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is past the bound is put aside once; nothing of what was printed last is lost."""
    monkeypatch.setattr(output, "LIMIT_BYTES", 1000)
    log = tmp_path / "log"
    code = "import sys; [print(str(n).zfill(99)) for n in range(1000)]; print('last', flush=True)"

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("talker", Subprocess(python(code + SLEEPS), log=log), policy=POLICY)
        await until(lambda: "last" in printed(log))

    supervised(scene)
    sizes = [it.stat().st_size for it in tmp_path.glob("log*")]
    assert 1 <= len(sizes) <= 2
    assert sum(sizes) < 1000 + 2 * 65536 < 100_000 + 131_072


def test_a_disk_that_takes_no_log_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The program goes on printing, and the loss is told once."""

    async def scene(supervisor: Supervisor) -> None:
        log = tmp_path / "no such directory" / "log"
        code = "import time\nwhile True: print('x' * 9999, flush=True); time.sleep(0.01)"
        await supervisor.add("talker", Subprocess(python(code), log=log), policy=POLICY)
        await supervisor.wait_until("talker", Phase.RUNNING)
        assert supervisor.status("talker").epoch == 1

    supervised(scene)
    assert caplog.text.count("output is lost") == 1


@pytest.mark.parametrize("arguments", [[], "sleep 600"])
def test_a_program_without_a_list_of_arguments_is_refused(arguments: list[str] | str) -> None:
    """No string is taken apart for whoever forgot to."""
    with pytest.raises(UsageError, match="expected a list"):
        Subprocess(arguments)


def test_a_stop_while_the_program_starts_leaves_no_process() -> None:
    """A supervisor that is left at once takes along what it has just begun."""

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("sleeper", Subprocess(["sleep", "613"]), policy=POLICY)

    supervised(scene)

    def found() -> bool:
        lines = (it.read_bytes() for it in Path("/proc").glob("[0-9]*/cmdline") if it.exists())
        return any(line == b"sleep\x00613\x00" for line in lines)

    assert not found()


def test_a_cancelled_end_kills_at_once(tmp_path: Path) -> None:
    """Whoever does not wait for a teardown leaves no process behind either."""
    pids: list[int] = []

    async def play() -> None:
        async def block() -> None:
            async with Supervisor() as supervisor:
                program = Subprocess(python(IGNORES_SIGTERM + SLEEPS), log=tmp_path / "log")
                await supervisor.add("stubborn", program, policy=POLICY)
                await content(tmp_path / "log")
                assert program.pid is not None
                pids.append(program.pid)

        task = asyncio.create_task(block())
        await until(lambda: pids)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
    wait_for(lambda: not alive(pids[0]))


@pytest.mark.parametrize(
    ("code", "phase"), [(0, Phase.STOPPED), (1, Phase.BACKING_OFF)], ids=["success", "failure"]
)
def test_a_program_that_exits_with_0_has_finished(code: int, phase: Phase) -> None:
    """One that is transient is done then; any other exit code is a fault."""
    program = Subprocess([sys.executable, "-c", f"raise SystemExit({code})"])

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("job", program, policy=POLICY, restart=RestartType.TRANSIENT)
        assert await supervisor.wait_until("job", Phase.STOPPED, Phase.BACKING_OFF) is phase
        assert supervisor.status("job").finished is (code == 0)

    supervised(scene)


def test_a_thread_runs_until_it_is_told_to_stop() -> None:
    """It reports progress from where it works, and ends with the block."""
    ended = threading.Event()

    def work(stop: threading.Event, run: Run) -> None:
        while not stop.wait(0.01):
            run.progress()
        ended.set()

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("worker", ThreadFunction(work), policy=POLICY, stall_after_s=5.0)
        await supervisor.wait_until("worker", Phase.RUNNING)

    supervised(scene)
    assert ended.is_set()


@pytest.mark.parametrize("what", ["raises", "returns", "exits"])
def test_a_thread_that_ends_by_itself_is_a_fault(what: str) -> None:
    """What it raised is the fault; a return is one too."""

    def work(_: threading.Event) -> None:
        if what == "raises":
            raise KeyError(what)
        if what == "exits":
            raise SystemExit

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("worker", ThreadFunction(work), policy=POLICY)
        await supervisor.wait_until("worker", Phase.FAILED)
        fault = supervisor.status("worker").last_fault
        assert fault is not None
        assert (
            fault.code == {"raises": "KeyError", "returns": "finished", "exits": "SystemExit"}[what]
        )

    supervised(scene)


def test_a_thread_that_does_not_stop_is_abandoned_and_fenced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next run has a thread of its own; what the old one says changes nothing."""
    let_go = threading.Event()
    runs: list[Run] = []

    def work(_: threading.Event, run: Run) -> None:
        runs.append(run)
        let_go.wait()

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.add("worker", ThreadFunction(work), policy=POLICY)
        await supervisor.wait_until("worker", Phase.RUNNING)
        await supervisor.restart("worker")
        await supervisor.wait_until("worker", Phase.RUNNING)
        assert [run.epoch for run in runs] == [1, 2]
        runs[0].report(ValueError("late"))
        runs[0].save({"position": 9})
        await supervisor.reset("worker")
        assert supervisor.status("worker").phase is Phase.RUNNING
        assert supervisor.recovery.late_facts == 1

    took_s = supervised(scene)
    let_go.set()
    assert took_s < 2 * POLICY.teardown_s + 1.0
    assert caplog.text.count("its teardown hangs and is abandoned") == 2
