"""One SOCK_SEQPACKET connection on the event loop: packets in, packets out, nothing blocks."""

import asyncio
import socket
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from stream_manager.pipelines.messages import MAX_PACKET_BYTES, UNREADABLE, encode

Message = TypeVar("Message")


class Channel(Generic[Message]):
    """Decodes every packet into one message for `on_message`, with the descriptors beside it.

    on_closed is called once, when the other side has closed the connection, broken it, or said
    something that can't be decoded; not after close().
    """

    def __init__(
        self,
        connection: socket.socket,
        decoder: msgspec.msgpack.Decoder[Message],
        *,
        on_message: Callable[[Message, list[int]], None],
        on_closed: Callable[[str], None],
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._decoder = decoder
        self._on_message = on_message
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._readable)
        self.open = True

    def send(self, message: Struct) -> bool:
        """Hand one message over; False if the other side is gone or does not read."""
        if not self.open:
            return False
        try:
            self._connection.send(encode(message))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End the connection; a second call does nothing."""
        if self.open:
            self.open = False
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()

    def _readable(self) -> None:
        while self.open:
            try:
                packet, fds, flags, _ = socket.recv_fds(self._connection, MAX_PACKET_BYTES, 1)
                if flags & socket.MSG_TRUNC:
                    self._lost(f"a packet of more than {MAX_PACKET_BYTES} bytes came")
                    return
                if not packet:
                    self._lost("the connection was closed")
                    return
                message = self._decoder.decode(packet)
            except BlockingIOError:
                return
            except (OSError, *UNREADABLE) as error:
                self._lost(str(error))
                return
            self._on_message(message, fds)

    def _lost(self, why: str) -> None:
        self.close()
        self._on_closed(why)


async def readable(fd: int) -> None:
    """Return when there is something to read, of a pidfd: when its process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
