"""How a running proxy is told what to do: lines on stdin, and on a Unix socket."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from stream_manager.errors import StreamManagerError, UsageError
from stream_manager.pipelines.sockets import short_address

STDIN = 0
LINE_MAX_BYTES = 4096

Answer = dict[str, object]


def answer(line: str, obey: Callable[[str], None]) -> Answer:
    """Have a line obeyed; return what became of it."""
    try:
        obey(line)
    except StreamManagerError as error:
        return {"line": line, "ok": False, "error": str(error)}
    return {"line": line, "ok": True}


def read_stdin(take: Callable[[str], None], ended: Callable[[], None]) -> None:
    """Have each line of stdin taken on the running loop, and its end told.

    A thread reads it: a loop can't wait for every kind of file.
    """
    loop = asyncio.get_running_loop()
    # In the background of a shell, reading its terminal would stop the process.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        held = b""
        with suppress(OSError, RuntimeError):  # stdin is not to be read, or the loop has ended
            while data := os.read(STDIN, LINE_MAX_BYTES):
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    if line.strip():
                        loop.call_soon_threadsafe(take, line.decode(errors="replace").strip())
            loop.call_soon_threadsafe(ended)

    threading.Thread(target=read, name="stdin", daemon=True).start()


@asynccontextmanager
async def control_socket(path: Path, obey: Callable[[str], None]) -> AsyncIterator[None]:
    """Listen at `path`, for this user alone; each line is answered with a line of JSON.

    Raises UsageError if something is there already, or nothing can be.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError):  # who asked is gone, or sends lines without end
            while line := (await reader.readline()).decode(errors="replace").strip():
                writer.write(json.dumps(answer(line, obey)).encode() + b"\n")
                await writer.drain()
        writer.close()

    with _bound(path) as listener:
        async with await asyncio.start_unix_server(converse, sock=listener, limit=LINE_MAX_BYTES):
            yield


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        umask = os.umask(0o177)  # from the first moment on nobody else can connect
        try:
            with short_address(str(path)) as address:
                _remove_stale(path, address)
                listener.bind(address)
        except OSError as error:
            raise UsageError(f"can't listen on --control {path}: {error.strerror}") from error
        finally:
            os.umask(umask)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path, address: str) -> None:
    """Remove the socket of a process that was killed, and nothing else."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if path.is_socket():
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                path.unlink()
