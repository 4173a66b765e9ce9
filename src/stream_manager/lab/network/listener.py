"""Where viewers connect: accepts them, or, while the network is cut, does not even hear them."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from stream_manager.errors import UsageError
from stream_manager.lab.network.datagrams import Address

BACKLOG = 128
# Little is kept in the kernel, so that a sender soon feels a slow link.
RECEIVE_BUFFER_BYTES = 65536


class Listener:
    """Accepts connections and hands each to `welcome`, with its viewer's address."""

    def __init__(
        self, host: str, port: int, welcome: Callable[[socket.socket, Address], None]
    ) -> None:
        """Accept from now on; needs the running loop. Raises UsageError if the port is taken."""
        self._welcome = welcome
        self._socket = _listening(host, port)
        self._filler: socket.socket | None = None
        self._filler_address: Address | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._accept)

    @property
    def address(self) -> Address:
        """Where viewers connect."""
        address: Address = self._socket.getsockname()
        return address

    def deafen(self) -> None:
        """Let the kernel drop whoever wants to connect from now on, as a cut cable would.

        It drops their first packets while the queue of connections that nobody has accepted yet is
        full. So the queue is made as short as it can be, and one connection of our own fills it.
        """
        if self._filler is not None:
            return
        self._accept()  # who came in time is in
        self._loop.remove_reader(self._socket)
        self._socket.listen(0)
        self._filler = socket.socket(self._socket.family, socket.SOCK_STREAM)
        self._filler.setblocking(False)
        self._filler.connect_ex(self._socket.getsockname())
        self._filler_address = self._filler.getsockname()

    def hear(self) -> None:
        """Accept again; who kept on trying gets in when its kernel tries next."""
        if self._filler is None:
            return
        self._socket.listen(BACKLOG)
        self._filler.close()
        self._accept()
        self._filler = self._filler_address = None
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Give the port back."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._filler is not None:
            self._filler.close()

    def _accept(self) -> None:
        # Nobody waits any more, or there is no room for one: then it is tried again.
        with suppress(OSError):
            while True:
                connection, address = self._socket.accept()
                if address == self._filler_address:
                    connection.close()
                    continue
                connection.setblocking(False)
                self._welcome(connection, address)


def _listening(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"can't listen on {host}: {error.strerror}") from error
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"can't listen on {host} port {port}: {error.strerror}."
            " Choose another port, or 0 for any free one."
        ) from error
    return listener
