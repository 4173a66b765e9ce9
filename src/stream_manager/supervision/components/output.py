"""What a subprocess prints, in one file of bounded size and the one before it."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stream_manager.supervision.component import Run

LIMIT_BYTES = 1 << 20
CHUNK_BYTES = 1 << 16
CHUNKS_A_STEP = 16

logger = logging.getLogger(__name__)


@contextmanager
def logged(path: str, run: Run) -> Iterator[int]:
    """Yield the descriptor that a child of this run prints to, for as long as it takes to start it.

    What comes out of its other end is logged until the run ends, or nobody is left who can print.
    """
    outlet, inlet = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(inlet, True)  # a program does not expect its output to refuse
    log = _Log(path, outlet)
    run.create_task(log.follow()).add_done_callback(log.close)
    try:
        yield inlet
    finally:
        os.close(inlet)


class _Log:
    """Appends what comes from `outlet` to `path`; past LIMIT_BYTES that becomes `path`.1.

    A disk that takes nothing must not end what prints: what can't be written is dropped, and the
    first time of it is told.
    """

    def __init__(self, path: str, outlet: int) -> None:
        self._path = path
        self._outlet = outlet
        self._fd: int | None = None
        self._told = False

    async def follow(self) -> None:
        """Log until nobody is left who can print."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._outlet, readable.set)
        try:
            while self._log_what_is_there():
                readable.clear()
                await readable.wait()
        finally:
            loop.remove_reader(self._outlet)

    def close(self, _: object) -> None:
        """Log the last words, and let go of everything."""
        self._log_what_is_there()
        os.close(self._outlet)
        self._close_file()

    def _log_what_is_there(self) -> bool:
        """Log what was printed, in bounded steps; return whether more can come."""
        for _ in range(CHUNKS_A_STEP):  # one that prints without end must not keep the loop
            try:
                chunk = os.read(self._outlet, CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._write(chunk)
        return True

    def _write(self, chunk: bytes) -> None:
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._fd, chunk)
            if os.fstat(self._fd).st_size > LIMIT_BYTES:
                os.replace(self._path, f"{self._path}.1")  # noqa: PTH105 - a string is all it is
                self._close_file()
        except OSError as error:
            if not self._told:
                self._told = True
                logger.warning("output is lost, for %s takes none: %s", self._path, error)

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
