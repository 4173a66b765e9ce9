"""The process of a simulated camera, from its owner's side: orders in, facts out, signals."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.camera_plan import SYNCED, Plan
from stream_manager.lab.record import Fact, from_json

MISUSED = 2
MOST = 65536


class CameraProcess:
    """One process, from its start to its end. It does not outlive its owner, even when frozen."""

    def __init__(self, plan: Plan) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - kill() closes it with the pipes
        # It ends when its stdin hangs up, which only this process holds open. In a process group
        # of its own it is spared a terminal's Ctrl-C, so that its owner ends it in due order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stream_manager.lab.camera_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=(plan.board,),
            process_group=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._facts = self._process.stdin, self._process.stdout
        os.set_blocking(self._facts.fileno(), False)
        self._rest = b""
        self._waker: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.over = False  # it has ended, and all that it told was read
        self.tell(plan.to_json())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def frozen(self) -> bool:
        """Whether it was stopped and not yet let go on."""
        return self._waker is not None

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are facts, or when it has ended."""
        return self._facts.fileno()

    def tell(self, line: str) -> None:
        """Send it a line; one that has ended does not get it."""
        with suppress(BrokenPipeError):
            self._orders.write(f"{line}\n".encode())
            self._orders.flush()

    def read(self) -> Iterator[Fact | int]:
        """Yield what it has told by now: facts, and the number of each `sync` that it reached."""
        while not self.over:
            try:
                received = os.read(self.fileno(), MOST)
            except BlockingIOError:
                return
            self.over = not received
            *lines, self._rest = (self._rest + received).split(b"\n")
            for line in lines:
                told = json.loads(line)
                yield told[SYNCED] if SYNCED in told else from_json(line)

    def freeze(self) -> None:
        """Stop it (SIGSTOP); returns when it stands still."""
        # A stopped camera can't see that its owner died. A shell can: its pipe ends too.
        self._waker = subprocess.Popen(  # noqa: S603 - a constant script and a number
            ["/bin/sh", "-c", 'read -r _; kill -CONT "$0"', str(self.pid)],
            stdin=subprocess.PIPE,
            process_group=0,
        )
        self._process.send_signal(signal.SIGSTOP)
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on; does nothing if it is not frozen."""
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.communicate()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would. What it told before can still be read."""
        self._process.kill()
        self.thaw()  # before the wait, after which its pid may be another's
        self._process.wait()

    def close(self) -> None:
        """Give its pipes back; it must have ended."""
        for pipe in (self._orders, self._facts, self._errors):
            with suppress(BrokenPipeError):
                pipe.close()

    def failure(self) -> UsageError | OutsideError:
        """Make an error of what a camera that ended by itself had to say."""
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        if status == MISUSED:
            return UsageError(said)
        return OutsideError(f"the camera ended with status {status}: {said}")
