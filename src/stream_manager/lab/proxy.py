"""A simulated network: the handle that starts it, disturbs it, and makes sure that it never stays.

The network is a process of its own (see `network`) between viewers and the server that they watch.
"""

import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO, Self

from stream_manager.clock import SystemClock
from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.faults import parse
from stream_manager.lab.network.facts import KINDS, AnswerFact, Fact, ReadyFact
from stream_manager.lab.network.faults import NETWORK_FAULTS
from stream_manager.lab.network.places import LOOPBACK, place, written
from stream_manager.lab.record import ErrorFact, read

ANSWER_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


class Proxy:
    """A network in front of the server at `to`, in a process that this object owns.

    to: "HOST:PORT". `port` 0 takes a free one. `faults` are ordered at the start, as `order` does
    later. `on_fact` gets every fact of the record as it comes, in another thread, and must not call
    this object. Use it as a context manager; a killed owner's proxy ends too.
    """

    def __init__(
        self,
        *,
        to: str,
        bind: str = LOOPBACK,
        port: int = 0,
        faults: Sequence[str] = (),
        on_fact: Callable[[Fact], None] | None = None,
    ) -> None:
        """Raises UsageError for a place or a fault that there can't be."""
        self.port = port
        self.record: list[Fact] = []
        self._bind = bind
        self._to = written(place("--to", to))
        self._faults = faults
        for line in faults:
            parse(line, NETWORK_FAULTS)
        self._on_fact = on_fact
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._ordering = threading.Lock()
        self._answers: queue.SimpleQueue[ReadyFact | AnswerFact | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of the running proxy."""
        return self._running().pid

    def url(self, path: str) -> str:
        """Return the RTSP URL under which viewers reach what the target serves as `path`."""
        return f"rtsp://{written((self._bind, self.port))}/{path}"

    def start(self) -> None:
        """Start it, and return once it accepts connections.

        Raises UsageError if the port is taken, and OutsideError if it ends for another reason.
        """
        if self._process is not None:
            raise UsageError("the proxy already runs: stop it first")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it with the pipes
        places = ("--listen", written((self._bind, self.port)), "--to", self._to)
        # It ends when its stdin does, which only this process holds open. In a process group of its
        # own it is spared a terminal's Ctrl-C, so that its owner ends it in due order.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, with our own options
            [sys.executable, "-m", "stream_manager.lab.network", *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,
        )
        try:
            assert self._process.stdout is not None
            reader = threading.Thread(target=self._read, args=(self._process.stdout,))
            reader.start()
            self._reader = reader
            ready = self._next_answer()
            assert isinstance(ready, ReadyFact)
            self.port = ready.port
            for line in self._faults:
                self.order(line)
        except BaseException:  # a Ctrl-C too: nobody else could stop it
            self.stop()
            raise

    def order(self, line: str) -> None:
        """Cause or heal a fault, like "cut for=3s" or "heal". Returns when that is done.

        Raises UsageError, and changes nothing, for a line that orders nothing possible.
        """
        process = self._running()
        assert process.stdin is not None
        with self._ordering:
            try:
                process.stdin.write(f"{line}\n".encode())
                process.stdin.flush()
            except OSError as error:
                raise self._failure() from error
            answer = self._next_answer()
        if isinstance(answer, AnswerFact) and answer.error is not None:
            raise UsageError(answer.error)

    def stop(self) -> None:
        """End it: all connections are closed. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
            self._reader = None
        for pipe in (process.stdin, process.stdout, self._errors):
            assert pipe is not None
            pipe.close()

    def _read(self, stdout: IO[bytes]) -> None:
        ready = False
        for line in stdout:
            fact = read(line, KINDS)
            if not isinstance(fact, AnswerFact):
                self._write_down(fact)
            if isinstance(fact, ReadyFact | AnswerFact):
                self._answers.put(fact)
                ready = True
        self._answers.put(None)
        if ready and self._process is not None:  # nobody has stopped it
            gone = ErrorFact(
                at=SystemClock().wall(), name=None, text="the proxy has ended by itself"
            )
            self._write_down(gone)

    def _write_down(self, fact: Fact) -> None:
        self.record.append(fact)
        if self._on_fact is not None:
            self._on_fact(fact)

    def _next_answer(self) -> ReadyFact | AnswerFact:
        try:
            answer = self._answers.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty as error:
            raise OutsideError(f"the proxy gave no answer within {ANSWER_TIMEOUT_S:g} s") from error
        if answer is None:
            raise self._failure()
        return answer

    def _failure(self) -> UsageError | OutsideError:
        """Make an error of what a proxy that ended had to say."""
        process = self._running()
        status = process.wait()
        assert self._errors is not None
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self.stop()
        if status == 2:
            return UsageError(said)
        return OutsideError(f"the proxy ended with status {status}: {said}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise UsageError("the proxy does not run: start it first")
        return self._process
