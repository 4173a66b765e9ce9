"""The worker's end of its control socket. A slow or absent manager never blocks the worker."""

import socket
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from stream_manager.pipelines import sockets
from stream_manager.pipelines.callbacks import lasting
from stream_manager.pipelines.gst import GLib
from stream_manager.pipelines.ledger import KEPT_FACTS, Ledger
from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    UNREADABLE,
    Fact,
    Graph,
    Hello,
    Noted,
    PartFailed,
    Progress,
    ToWorker,
    encode,
)
from stream_manager.pipelines.scrubbing import scrub

_READABLE = GLib.IOCondition.IN | GLib.IOCondition.HUP | GLib.IOCondition.ERR

_decode = msgspec.msgpack.Decoder(ToWorker).decode


class Link:
    """One manager connection at a time; another is refused until the manager has closed its own.

    A manager that connects is greeted, and told all that `ledger` keeps. Of a pulse only the newest
    counts, so one that can't be sent at once is dropped.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        hello: Callable[[], Hello],
        ledger: Ledger,
        secrets: Iterable[str],
        on_order: Callable[[ToWorker], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Serve `listener`; no text that leaves here holds any of `secrets`.

        `on_lost` tells that the manager closed its connection, or sent what nobody understands.
        """
        self._listener = listener
        self._hello = hello
        self._ledger = ledger
        self._secrets = tuple(secrets)
        self._on_order = on_order
        self._on_lost = on_lost
        self._outgoing: deque[bytes] = deque()
        self._manager: socket.socket | None = None
        self.met_a_manager = False
        self._watches: list[int] = []
        self._waits_for_room = False
        listener.setblocking(False)
        _watch(listener, _READABLE, self._on_connection)

    def tell(self, fact: Fact) -> None:
        """Send `fact` now, or as soon as a manager takes it."""
        if isinstance(fact, PartFailed):
            text = scrub(fact.text, self._secrets)
            fact = msgspec.structs.replace(fact, text=text)
        self._ledger.take(fact)
        if self._manager is None:
            return
        self._outgoing.append(encode(fact))
        self._send()
        if len(self._outgoing) > KEPT_FACTS:  # it has read nothing for days
            self._lose()

    def pulse(self, reading: Progress | Graph) -> None:
        """Send `reading` if that is possible now and nothing older waits."""
        if self._manager is not None and not self._outgoing:
            with suppress(OSError):  # full: dropped; closed: seen by the watch
                self._manager.send(encode(reading))

    @lasting
    def _on_connection(self) -> bool:
        with suppress(BlockingIOError):
            connection = sockets.accept(self._listener, self._manager)
            if connection is None:
                return True
            self._drop()
            connection.setblocking(False)
            self._manager = connection
            self.met_a_manager = True
            self._watches.append(_watch(connection, _READABLE, self._on_packet))
            self._outgoing.extend(map(encode, (self._hello(), *self._ledger.begin())))
            self._send()
        return True

    @lasting
    def _on_packet(self) -> bool:
        assert self._manager is not None, "the watch goes with the connection"
        try:
            packet = self._manager.recv(MAX_PACKET_BYTES)
            order = _decode(packet) if packet else None
        except BlockingIOError:
            return True
        except OSError:  # a manager that died with our facts unread
            order = None
        except UNREADABLE:
            traceback.print_exc()
            order = None
        if order is None:
            self._lose()
            return False
        if isinstance(order, Noted):
            self._ledger.noted(order.facts)
        else:
            self._on_order(order)
        return True

    def _send(self) -> None:
        while self._manager is not None and self._outgoing:
            try:
                self._manager.send(self._outgoing[0])
            except BlockingIOError:
                self._wait_for_room()
                return
            except OSError:
                return  # closed: the watch sees it, and the next manager is told
            self._outgoing.popleft()

    def _wait_for_room(self) -> None:
        if not self._waits_for_room and self._manager is not None:
            self._waits_for_room = True
            self._watches.append(_watch(self._manager, GLib.IOCondition.OUT, self._on_room))

    @lasting
    def _on_room(self) -> bool:
        self._waits_for_room = False
        self._watches.pop()
        self._send()
        return False

    def _lose(self) -> None:
        self._drop()
        self._on_lost()

    def _drop(self) -> None:
        for watch in self._watches:
            GLib.source_remove(watch)
        self._watches.clear()
        self._waits_for_room = False
        self._outgoing.clear()
        self._ledger.leave()
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def _watch(
    watched: socket.socket, condition: GLib.IOCondition, on_ready: Callable[[], bool]
) -> int:
    return GLib.unix_fd_add_full(
        GLib.PRIORITY_DEFAULT, watched.fileno(), condition, lambda *_: on_ready()
    )
