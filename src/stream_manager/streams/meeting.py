"""Meeting a worker that an earlier manager left: who it is, by the kernel's word and its own."""

import asyncio
import hashlib
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream_manager.errors import OutsideError
from stream_manager.pipelines import sockets
from stream_manager.pipelines.identity import start_ticks
from stream_manager.pipelines.messages import MAX_PACKET_BYTES, UNREADABLE, Hello
from stream_manager.streams.channel import readable

HELLO_WITHIN_S = 2.0  # a worker says it at once; one that hangs never does

_decoder = msgspec.msgpack.Decoder(Hello)


class NotMet(OutsideError):  # noqa: N818 - what happened, as the log tells it
    """Nobody was met, and nothing was done to whoever it is. `dead`: nobody listens there."""

    def __init__(self, why: str, *, dead: bool = False) -> None:
        self.dead = dead
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A worker that lives: connected, its Hello read; connection and pidfd are the holder's."""

    hello: Hello
    path: str
    connection: socket.socket
    pidfd: int

    def close(self) -> None:
        """Let it go; it goes on by itself."""
        self.connection.close()
        os.close(self.pidfd)


def key_of(stream: str) -> str:
    """Return what stands for a stream in the names of its sockets: short, whatever its id."""
    return hashlib.sha256(stream.encode()).hexdigest()[:12]


def socket_path(directory: Path, stream: str, epoch: int) -> Path:
    """Return where the worker of a stream listens."""
    return directory / f"w-{key_of(stream)}-{epoch}.sock"


def socket_files(directory: Path) -> dict[str, list[Path]]:
    """Return the sockets that lie in a directory, by the key of their stream."""
    files: dict[str, list[Path]] = {}
    for path in sorted(directory.glob("w-*-*.sock")):
        files.setdefault(path.name.split("-")[1], []).append(path)
    return files


async def meet(path: Path) -> Met:
    """Return who listens at `path`. Raises NotMet.

    The process is held by a pidfd before its start time is compared, and the connection is still
    open afterwards: so its pid can't be that of a later process.
    """
    try:
        connection = sockets.connect(str(path), tells_senders=True)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise NotMet("the process that listened there has ended", dead=True) from error
    except OSError as error:
        raise NotMet(str(error)) from error
    with ExitStack() as undo:
        undo.callback(connection.close)
        hello, pid = await _hello(connection)
        if hello.pid != pid:
            raise NotMet(f"it says that it is process {hello.pid}, and is {pid}")
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise NotMet(f"process {pid} can't be watched: {error.strerror}") from error
        undo.callback(os.close, pidfd)
        if start_ticks(pid) != hello.start_ticks or not sockets.is_open(connection):
            raise NotMet(f"process {pid} is not the one that it says it is")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        undo.pop_all()
        return Met(hello=hello, path=str(path), connection=connection, pidfd=pidfd)


async def _hello(connection: socket.socket) -> tuple[Hello, int]:
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            await readable(connection.fileno())
        packet, pid = sockets.receive_with_sender(connection, MAX_PACKET_BYTES)
        if not packet:
            raise NotMet("it closed the connection: it ends, or talks to another manager")
        return _decoder.decode(packet), pid
    except TimeoutError:
        raise NotMet(f"it does not say who it is within {HELLO_WITHIN_S:g} s") from None
    except (OSError, *UNREADABLE) as error:
        raise NotMet(f"what it says is no worker's word: {error}") from error
