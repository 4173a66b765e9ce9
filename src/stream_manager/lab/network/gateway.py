"""Leads a viewer's media through the link: reads its RTSP, and puts ports of the proxy in between.

Only the `Transport` of SETUP and of its answer is rewritten. Multicast is left as it is: nobody
stands between.
"""

import socket
from collections.abc import Callable
from contextlib import ExitStack

from stream_manager.lab.network import transport
from stream_manager.lab.network.datagrams import Address, Path, PortPair
from stream_manager.lab.network.link import Link
from stream_manager.lab.network.rtsp import Reader

DONE = 200
WAITING_MAX = 64  # SETUPs without an answer; a viewer sends one at a time


class Gateway:
    """One connection's RTSP, both ways. Give `requests` and `answers` to the lanes, and close it.

    viewer, target: the sockets that lead to them. on_media: called when RTP is passed on by UDP.
    """

    def __init__(
        self,
        viewer: socket.socket,
        target: socket.socket,
        *,
        link: Link,
        on_media: Callable[[], None],
    ) -> None:
        self.requests = Reader(self._request, self._no_media, listens=True)
        self.answers = Reader(self._answer, self._is_media, listens=False)
        self._viewer = viewer
        self._target = target
        self._link = link
        self._on_media = on_media
        self._waiting: dict[str, dict[str, Path]] = {}  # by CSeq, then by far ports
        self._media_channels: set[int] = set()
        self._paths = ExitStack()

    def close(self) -> None:
        """Give all ports back."""
        self._paths.close()
        for paths in self._waiting.values():
            for path in paths.values():
                path.close()

    def _request(self, raw: bytes) -> bytes:
        self.answers.listen()
        head = raw.decode("latin-1")
        asked = transport.field(head, "Transport")
        if transport.method(head) != "SETUP" or asked is None or len(self._waiting) >= WAITING_MAX:
            return raw
        paths: dict[str, Path] = {}
        by_viewer: dict[str, str] = {}  # several alternatives may name the same ports
        alternatives = []
        for alternative in asked.split(","):
            given = transport.parameter(alternative, "client_port")
            pair = transport.numbers(given)
            if given is None or pair is None or "multicast" in alternative:
                alternatives.append(alternative)
                continue
            if given not in by_viewer:
                path = self._path(pair)
                by_viewer[given] = transport.written(path.far.ports)
                paths[by_viewer[given]] = path
            alternatives.append(
                transport.with_parameters(alternative, {"client_port": by_viewer[given]})
            )
        if paths:
            self._waiting[transport.field(head, "CSeq") or ""] = paths
        return transport.with_field(head, "Transport", ",".join(alternatives)).encode("latin-1")

    def _answer(self, raw: bytes) -> bytes:
        head = raw.decode("latin-1")
        granted = transport.field(head, "Transport")
        paths = self._waiting.pop(transport.field(head, "CSeq") or "", {})
        path = None
        if transport.status(head) == DONE and granted is not None:
            if channels := transport.numbers(transport.parameter(granted, "interleaved")):
                self._media_channels.add(channels[0])
            else:
                path = paths.pop(transport.parameter(granted, "client_port") or "", None)
        for unused in paths.values():
            unused.close()
        if path is None or granted is None:
            return raw
        self._paths.callback(path.close)
        self._open(path, granted)
        rewritten = transport.with_parameters(
            granted,
            {
                "client_port": transport.written((path.viewer[0][1], path.viewer[1][1])),
                "server_port": transport.written(path.near.ports),
                "source": self._viewer.getsockname()[0],
                "destination": self._viewer.getpeername()[0],
            },
        )
        return transport.with_field(head, "Transport", rewritten).encode("latin-1")

    def _path(self, viewer_ports: tuple[int, int]) -> Path:
        viewer, here = self._viewer.getpeername(), self._viewer.getsockname()
        near = PortPair(here[0], self._viewer.family)
        try:
            far = PortPair(self._target.getsockname()[0], self._target.family)
        except OSError:
            near.close()
            raise
        return Path(
            near=near,
            far=far,
            viewer=(_at(viewer, viewer_ports[0]), _at(viewer, viewer_ports[1])),
            link=self._link,
            on_media=self._on_media,
        )

    def _open(self, path: Path, granted: str) -> None:
        server = self._target.getpeername()
        source = transport.parameter(granted, "source")
        pair = transport.numbers(transport.parameter(granted, "server_port"))
        there = None if pair is None else (_at(server, pair[0]), _at(server, pair[1]))
        path.open(frozenset({server[0]} | ({source} if source else set())), there)

    def _is_media(self, channel: int) -> bool:
        return channel in self._media_channels

    def _no_media(self, _channel: int) -> bool:
        return False


def _at(address: Address, port: int) -> Address:
    return (address[0], port, *address[2:])
