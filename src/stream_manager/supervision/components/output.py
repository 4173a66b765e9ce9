"""What a subprocess prints, in one file of bounded size and the one before it."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

LIMIT_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class BoundedLog(asyncio.Protocol):
    """Appends to `path`; past `limit_bytes` that becomes `path`.1 and a new file begins.

    A disk that takes nothing must not end what prints: what can't be written is dropped, and the
    first time of it is told.
    """

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._fd: int | None = None
        self._told = False

    def data_received(self, data: bytes) -> None:
        """Append what was printed."""
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._fd, data)
            if os.fstat(self._fd).st_size > self._limit_bytes:
                self._path.replace(f"{self._path}.1")
                self._close()
        except OSError as error:
            if not self._told:
                self._told = True
                logger.warning("output is lost, for %s takes none: %s", self._path, error)

    def connection_lost(self, _: Exception | None) -> None:
        """Close the file: whoever could print is gone."""
        self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@asynccontextmanager
async def logged(path: Path) -> AsyncIterator[int]:
    """Yield the descriptor that a child prints to, for as long as it takes to start the child.

    What is read from the other end is logged until the last process that holds it is gone.
    """
    read_fd, write_fd = os.pipe()
    try:
        outlet = os.fdopen(read_fd, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: BoundedLog(path), outlet)
        yield write_fd
    finally:
        os.close(write_fd)
