"""Orders for something that runs: lines on stdin and on a Unix socket, until a signal ends it."""

import json
import os
import shlex
import signal
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stream_manager.errors import StreamManagerError, UsageError

LONGEST_PATH = 107  # bytes of a Unix socket's address
STDIN = 0


class Console:
    """Hands each line to `obey`, in any thread; what that raises is the answer.

    On the socket `control` a line is answered by a line of JSON, {"ok": true} or {"ok": false,
    "error": TEXT}. A line on stdin that is refused goes to `complain` with the reason.
    """

    def __init__(
        self,
        obey: Callable[[str], None],
        *,
        complain: Callable[[str, str], None],
        control: Path | None = None,
    ) -> None:
        self._obey = obey
        self._complain = complain
        self._control = control
        self._over = threading.Event()

    def run(self) -> None:
        """Obey until SIGINT, SIGTERM or `end`; the end of stdin ends nothing.

        Raises `UsageError` if the socket can't be made.
        """
        with ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, lambda *_: self.end())
                stack.callback(signal.signal, number, before)
            # In the background of a shell, reading the terminal then fails and stops nobody.
            stack.callback(signal.signal, signal.SIGTTIN, signal.getsignal(signal.SIGTTIN))
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
            if self._control is not None:
                stack.enter_context(_listening(self._control, self.answer))
            threading.Thread(target=self._read_stdin, name="stdin", daemon=True).start()
            self._over.wait()

    def end(self) -> None:
        """Let `run` return."""
        self._over.set()

    def answer(self, line: str) -> str:
        """Obey a line and return the answer to it."""
        try:
            self._obey(line)
        except StreamManagerError as error:
            return json.dumps({"ok": False, "error": str(error)})
        return json.dumps({"ok": True})

    def _read_stdin(self) -> None:
        with suppress(OSError), os.fdopen(STDIN, errors="replace", closefd=False) as lines:
            for line in filter(None, map(str.strip, lines)):
                try:
                    self._obey(line)
                except StreamManagerError as error:
                    self._complain(line, str(error))


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, answer: Callable[[str], str]) -> None:
        self.answer = answer
        super().__init__(str(path), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever ordered did not wait for the answer
            for line in self.rfile:
                answer = self.server.answer(line.decode(errors="replace").strip())
                self.wfile.write(f"{answer}\n".encode())


def refuse_place(path: Path) -> None:
    """Raise `UsageError` if no socket can be made there; one of a process that is gone is removed.

    Asked before anything is started: who read that a camera is ready shall not lose it again.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise UsageError(
            f"--control {path}: longer than {LONGEST_PATH} bytes, choose a shorter one"
        )
    directory = path.parent
    if not directory.is_dir():
        raise UsageError(
            f"--control {path}: there is no directory {directory}; make it"
            f" (mkdir -p {shlex.quote(str(directory))}),"
            f" or name another place, like ./{path.name}"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(
            f"--control {path}: the directory {directory} is not yours to write; name another"
            f" place, like ./{path.name}"
        )
    _remove_stale(path)


@contextmanager
def _listening(path: Path, answer: Callable[[str], str]) -> Iterator[None]:
    """Serve a socket that only its owner may use; it is removed in the end."""
    refuse_place(path)
    others = os.umask(0o177)
    try:
        server = _Server(path, answer)
    except OSError as error:
        raise UsageError(f"--control {path}: {error.strerror}") from error
    finally:
        os.umask(others)
    thread = threading.Thread(target=server.serve_forever, name="control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        server.shutdown()
        thread.join()
        server.server_close()


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that is gone; anything else that is there stays."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        try:
            knocking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise UsageError(f"--control {path}: in use by another process")
