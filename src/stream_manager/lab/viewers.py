"""Who is let in: connections, refusals by status, and one session at a time."""

import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

import gi

gi.require_version("Gio", "2.0")
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # noqa: E402 - versions must be required first
    Gio,
    GLib,
    Gst,
    GstRtsp,
    GstRtspServer,
)

from stream_manager.errors import UsageError  # noqa: E402
from stream_manager.lab.camera_faults import REQUESTS  # noqa: E402

BACKLOG = 128  # a crowd's clients would wait a second for a second SYN
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close() sends RST

Status = GstRtsp.RTSPStatusCode
STATUSES: Mapping[str, Status] = {
    "error-404": Status.NOT_FOUND,
    "error-453": Status.NOT_ENOUGH_BANDWIDTH,
    "error-503": Status.SERVICE_UNAVAILABLE,
}


class Door:
    """The listening socket. It is ours, not the server's, so that it can be closed and reopened."""

    def __init__(self, server: GstRtspServer.RTSPServer, bind: str, port: int) -> None:
        self._server = server
        self._address = (bind, port)
        self._listener: socket.socket | None = None
        self._watch = 0

    def open(self) -> int:
        """Accept connections from now on; return the port. Raises `UsageError` if it is taken."""
        bind, port = self._address
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._address)
            listener.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            listener.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                f"can't listen on {bind} port {port}: {reason}. "
                "Choose another port, or 0 for any free one."
            ) from error
        listener.setblocking(False)
        self._listener = listener
        self._address = (bind, listener.getsockname()[1])
        self._watch = GLib.unix_fd_add_full(
            GLib.PRIORITY_DEFAULT, listener.fileno(), GLib.IOCondition.IN, self._accept
        )
        return self._address[1]

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._listener is not None:
            GLib.source_remove(self._watch)
            self._listener.close()
            self._listener = None

    def _accept(self, _descriptor: int, _condition: GLib.IOCondition) -> bool:
        assert self._listener is not None
        with suppress(BlockingIOError, ConnectionError):
            connection, address = self._listener.accept()
            # Nagle's algorithm and delayed acknowledgements would hold the first picture for 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host, port = address[:2]
            handed_over = Gio.Socket.new_from_fd(connection.detach())
            self._server.transfer_connection(handed_over, host, port, None)
        return True


class Viewers:
    """All connections of a server, and the rules by which their requests are refused."""

    def __init__(self, server: GstRtspServer.RTSPServer) -> None:
        self._server = server
        self._clients: list[GstRtspServer.RTSPClient] = []  # those who came first, first
        self._refusals: dict[str, int] = {}  # by fault, the first request that it refuses
        self._clock = Gst.SystemClock.obtain()
        self._hold_ns: int | None = None  # None: any number of sessions at a time
        self._holder: GstRtspServer.RTSPClient | None = None  # whose session counts
        self._free_at_ns = 0  # when the last one's stale session is forgotten
        server.connect("client-connected", self._meet)

    def refuse(self, fault: str, *, on: str) -> None:
        """Answer a request, and those that follow it, with the status of a fault."""
        self._refusals[fault] = REQUESTS.index(on)

    def admit(self, fault: str) -> None:
        """Take a refusal back."""
        del self._refusals[fault]

    def limit(self, hold_s: float) -> None:
        """Let in one session at a time; the first of those who have one keeps it."""
        self._hold_ns = round(hold_s * Gst.SECOND)
        self._free_at_ns = 0
        having = [client for client in self._clients if client.session_filter(None)]
        self._holder = having[0] if having else None
        for client in having[1:]:
            client.close()

    def unlimit(self) -> None:
        """Let in any number of sessions."""
        self._hold_ns = self._holder = None

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection. That leaves no stale session: the camera knows of it."""
        self._holder = None
        for client in tuple(self._clients):
            if reset:
                _reset_on_close(client)
            client.close()

    def _meet(self, _server: GstRtspServer.RTSPServer, client: GstRtspServer.RTSPClient) -> None:
        self._clients.append(client)
        for request in REQUESTS:
            client.connect(f"pre-{request}-request", self._judge, request)
        client.connect("teardown-request", self._tear_down)
        client.connect("closed", self._close)

    def _judge(self, client: GstRtspServer.RTSPClient, _context: object, request: str) -> Status:
        for fault, first in self._refusals.items():
            if REQUESTS.index(request) >= first:
                return STATUSES[fault]
        if request == "setup" and self._hold_ns is not None:
            if self._holder not in (None, client) or self._clock.get_time() < self._free_at_ns:
                return Status.NOT_ENOUGH_BANDWIDTH
            self._holder = client
        return Status.OK

    def _tear_down(self, client: GstRtspServer.RTSPClient, _context: object) -> None:
        if self._holder is client:
            self._holder = None

    def _close(self, client: GstRtspServer.RTSPClient) -> None:
        self._clients.remove(client)
        if self._holder is client:
            self._holder = None
            assert self._hold_ns is not None
            self._free_at_ns = self._clock.get_time() + self._hold_ns


def _reset_on_close(client: GstRtspServer.RTSPClient) -> None:
    connection = client.get_connection()
    stream = connection.get_read_socket() if connection is not None else None
    if stream is not None:
        with socket.socket(fileno=os.dup(stream.get_fd())) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
