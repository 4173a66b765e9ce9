"""RTP and RTCP over UDP through the link: a pair of ports for each side, and the way between."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from stream_manager.lab.network.link import Bottleneck, Link

DATAGRAM_BYTES = 65536
AT_A_TIME = 64  # so that a flood leaves the loop time for others
ATTEMPTS = 100
RTP = 0

Address = tuple[Any, ...]  # a host and a port, and two numbers more for IPv6


class PortPair:
    """Two neighbouring ports of an address, an even one for RTP and the next one for RTCP."""

    def __init__(self, host: str, family: socket.AddressFamily) -> None:
        """Bind them; raises OSError when none are to be had."""
        self.sockets = _bind_pair(host, family)
        self.ports = (self.sockets[0].getsockname()[1], self.sockets[1].getsockname()[1])

    def close(self) -> None:
        """Give the ports back."""
        for it in self.sockets:
            it.close()


class Path:
    """The way of one track's datagrams: server, far ports, link, near ports, viewer, and back.

    viewer: where the viewer awaits RTP and RTCP. on_media: called when RTP is passed on to it.
    """

    def __init__(
        self,
        *,
        near: PortPair,
        far: PortPair,
        viewer: tuple[Address, Address],
        link: Link,
        on_media: Callable[[], None],
    ) -> None:
        self.near = near
        self.far = far
        self.viewer = viewer
        self._link = link
        self._on_media = on_media
        self._server_hosts: frozenset[str] = frozenset()
        self._server: tuple[Address, Address] | None = None
        self._closed = False

    def open(self, hosts: frozenset[str], server: tuple[Address, Address] | None) -> None:
        """Let datagrams of these hosts pass; `server` is where it awaits the viewer's, if it does.

        Whoever else sends something is not heard.
        """
        loop = asyncio.get_running_loop()
        self._server_hosts, self._server = hosts, server
        for index in (0, 1):
            loop.add_reader(self.far.sockets[index], self._from_server, index)
            loop.add_reader(self.near.sockets[index], self._from_viewer, index)

    def close(self) -> None:
        """End it; what is on its way is lost."""
        self._closed = True
        loop = asyncio.get_running_loop()
        for it in (*self.near.sockets, *self.far.sockets):
            loop.remove_reader(it)
        self.near.close()
        self.far.close()

    def _from_server(self, index: int) -> None:
        for data, sender in _received(self.far.sockets[index]):
            if sender[0] in self._server_hosts:
                passed = self._on_media if index == RTP else None
                self._carry(
                    data, self._link.to_viewer, self.near, index, self.viewer[index], passed
                )

    def _from_viewer(self, index: int) -> None:
        for data, sender in _received(self.near.sockets[index]):
            if self._server is not None and sender[0] == self.viewer[index][0]:
                self._carry(data, self._link.to_target, self.far, index, self._server[index], None)

    def _carry(
        self,
        data: bytes,
        bottleneck: Bottleneck,
        pair: PortPair,
        index: int,
        receiver: Address,
        passed: Callable[[], None] | None,
    ) -> None:
        delay_s = self._link.datagram_s(len(data), bottleneck)
        if delay_s is None:
            return
        if delay_s > 0:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_s, self._send, data, pair, index, receiver, passed)
        else:
            self._send(data, pair, index, receiver, passed)

    def _send(
        self,
        data: bytes,
        pair: PortPair,
        index: int,
        receiver: Address,
        passed: Callable[[], None] | None,
    ) -> None:
        if self._closed or self._link.conditions.cut:
            return
        with suppress(OSError):  # a full buffer, or nobody there: the datagram is lost, as they are
            if passed is not None:
                passed()
            pair.sockets[index].sendto(data, receiver)


def _received(port: socket.socket) -> list[tuple[bytes, Address]]:
    found: list[tuple[bytes, Address]] = []
    # Nothing more is there, or an earlier datagram of ours was refused, of which UDP takes no note.
    with suppress(OSError):
        while len(found) < AT_A_TIME:
            found.append(port.recvfrom(DATAGRAM_BYTES))
    return found


def _bind_pair(host: str, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            one = stack.enter_context(_bound(host, family, 0))
            port = one.getsockname()[1]
            try:
                other = stack.enter_context(_bound(host, family, port ^ 1))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            stack.pop_all()
            return (other, one) if port % 2 else (one, other)
    raise OSError(errno.EADDRINUSE, f"no two neighbouring UDP ports of {host} are free")


def _bound(host: str, family: socket.AddressFamily, port: int) -> socket.socket:
    it = socket.socket(family, socket.SOCK_DGRAM)
    try:
        it.setblocking(False)
        it.bind((host, port))
    except OSError:
        it.close()
        raise
    return it
