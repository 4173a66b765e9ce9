"""The manager as systemd runs it: started, watched, reloaded and ended over its own protocol."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.service import Service, frame_times_s, table

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]
WATCHDOG_S = 2.0
# MemoryDenyWriteExecute= in the kernel's own form, which kernels before 6.3 do not know.
DENY_WRITE_EXECUTE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
# What can be had of the unit's hardening without systemd.
HARDENED = (
    *("setpriv", "--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all", "--"),
    *(sys.executable, "-c", DENY_WRITE_EXECUTE),
)
# Scaling and converting pictures is done by code that is made while the program runs.
CONVERTED = (
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! videoscale"
    " ! video/x-raw,width=320,height=240 ! videoconvert ! video/x-raw,format=NV12 ! videoconvert"
    " ! x264enc tune=zerolatency key-int-max=25 ! h264parse"
)


class Unit:
    """A service of a systemd that the test plays: it listens to what the main process says."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.service = service
        self._listener = listener
        self.said: list[str] = []

    def start(self) -> None:
        """Start the manager as `ExecStart=` would, without privileges and with a tight mask."""
        environment = {
            "NOTIFY_SOCKET": str(self._listener.getsockname()),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
        }
        self.service.start(*HARDENED, umask=0o077, **environment)

    def hear(self, timeout_s: float) -> bool:
        """Take one message, waiting for it; tell whether one came."""
        self._listener.settimeout(timeout_s)
        with suppress(TimeoutError, BlockingIOError):
            self.said += self._listener.recv(4096).decode().splitlines()
            return True
        return False

    def wait_said(self, line: str) -> None:
        """Wait until a line was said, and forget what came before it."""
        while line not in self.said:
            assert self.hear(30.0), f"{line} was not said\n{self.service.log()}"
        del self.said[: self.said.index(line) + 1]


@pytest.fixture
def unit(service: MakeService, tmp_path: Path) -> Iterator[Unit]:
    """Give a unit that runs one stream."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        yield Unit(service(table("cam", CONVERTED)), listener)


def test_a_life_under_systemd(unit: Unit) -> None:
    """READY once the API answers, signs of life with a status, a reload, and a restart.

    It ends by SIGUSR2 and its workers go on, so that the restart costs no picture.
    """
    running = unit.service
    unit.start()
    unit.wait_said("READY=1")
    assert running.stream("cam")
    unit.wait_said("STATUS=1 stream, 1 healthy")
    unit.wait_said("WATCHDOG=1")

    running.configure(table("cam", CONVERTED), table("other", "test:"))
    running.signal(signal.SIGHUP)
    unit.wait_said("RELOADING=1")
    unit.wait_said("READY=1")
    unit.wait_said("STATUS=2 streams, 2 healthy")
    running.config.write_text("this is no configuration")
    running.signal(signal.SIGHUP)
    unit.wait_said("RELOADING=1")
    unit.wait_said("READY=1")
    running.wait("what is wrong with it", lambda: running.logged(level="error"))

    running.configure(table("cam", CONVERTED), table("other", "test:"))
    running.wait_media("cam", 1)
    workers = running.workers()
    assert running.leave(within_s=5.0) == 0
    unit.wait_said("STOPPING=1")
    unit.start()
    unit.wait_said("READY=1")
    running.wait_healthy("cam", "other")
    assert running.workers() == workers
    assert running.stop() == 0
    running.wait("every process to end", lambda: not running.pids(), 2.0)
    assert sum(len(frame_times_s(path)) for path in running.files("cam")) >= 25
    made = [*running.state_dir.rglob("*"), *running.recordings.rglob("*")]
    assert {path.stat().st_mode & 0o077 for path in made} == {0}


def test_no_child_can_speak_for_the_manager(unit: Unit) -> None:
    """The fork server, and so each worker, has neither the socket's address nor its times."""
    unit.start()
    running = unit.service
    running.wait_healthy("cam")
    (server,) = running.fork_servers()
    environment = Path(f"/proc/{server}/environ").read_bytes()
    assert b"MALLOC_ARENA_MAX=" in environment
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG" not in environment


def test_a_manager_that_is_stopped_gives_no_sign_of_life(unit: Unit) -> None:
    """Systemd's watchdog would end it then; a moment later it goes on as if nothing had been."""
    unit.start()
    unit.wait_said("WATCHDOG=1")
    unit.service.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, unit.service.process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        while unit.hear(0.0):
            pass
        assert not unit.hear(WATCHDOG_S)
    finally:
        unit.service.signal(signal.SIGCONT)
    unit.said.clear()
    unit.wait_said("WATCHDOG=1")


def test_what_the_watchdog_sends_tells_where_the_manager_was_stuck(unit: Unit) -> None:
    """After SIGABRT the log names the line of each thread, and the workers go on."""
    unit.start()
    running = unit.service
    running.wait_healthy("cam")
    running.signal(signal.SIGABRT)
    assert running.process.wait(5.0) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in running.log()
    assert "asyncio" in running.log()
    running.wait_recorded("cam")
    running.crash()  # for the end of what outlived it


@pytest.mark.parametrize("moment", ["at once", "when it answers"])
def test_sigusr2_while_it_starts_ends_it_in_good_order(service: MakeService, moment: str) -> None:
    """The signal is taken when it can be; what has begun then is the next manager's."""
    starting = service(*(table(f"cam-{number}", "test:") for number in range(4)))
    process = starting.launch()
    if moment == "at once":
        status = Path(f"/proc/{process.pid}/status")
        blocked = 1 << (signal.SIGUSR2 - 1)
        starting.wait("the signal to be blocked", lambda: _mask(status) & blocked)
    else:
        starting.wait("the lock", lambda: starting.logged(event="started"))
    process.send_signal(signal.SIGUSR2)
    assert process.wait(15.0) == 0
    assert starting.logged(event="stopped")
    starting.start().wait_healthy(*(f"cam-{number}" for number in range(4)))
    assert len(starting.workers()) == 4


def _mask(status: Path) -> int:
    lines = status.read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("SigBlk")), 16)
