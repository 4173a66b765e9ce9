"""The proxy in its own process: one listener, one link, any number of connections."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from stream_manager.clock import SystemClock, chance
from stream_manager.errors import UsageError
from stream_manager.lab.faults import Order
from stream_manager.lab.network.connection import carry
from stream_manager.lab.network.datagrams import Address
from stream_manager.lab.network.facts import AnswerFact, Fact, ReadyFact
from stream_manager.lab.network.faults import conditions
from stream_manager.lab.network.link import Link
from stream_manager.lab.network.listener import Listener
from stream_manager.lab.network.orders import read_stdin
from stream_manager.lab.network.places import Place, written
from stream_manager.lab.network.script import Script
from stream_manager.lab.network.witness import Witness
from stream_manager.lab.record import to_json

STDOUT = 1


async def serve(*, listen: Place, target: Place) -> None:
    """Carry connections until stdin or a signal ends it.

    Lines on stdin are orders, each with an answer among the facts on stdout. Raises UsageError for
    a port that is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    async with Relay(listen, target, Link(clock, chance), _tell) as relay:
        script = Script(clock, _tell, relay.change)

        def obey(line: str) -> None:
            error = None
            try:
                script.obey(line)
            except UsageError as refused:
                error = str(refused)
            _tell(AnswerFact(at=clock.wall(), error=error))

        host, port = relay.address
        _tell(ReadyFact(at=clock.wall(), host=host, port=port))
        read_stdin(obey, stop.set)
        await stop.wait()


def _tell(fact: Fact | AnswerFact) -> None:
    with suppress(BrokenPipeError):  # the owner is gone, so that stdin ends too
        os.write(STDOUT, f"{to_json(fact)}\n".encode())


class Relay:
    """Takes viewers in and carries them over the link. An asynchronous context manager."""

    def __init__(
        self, listen: Place, target: Place, link: Link, tell: Callable[[Fact], None]
    ) -> None:
        self._listen = listen
        self._target = target
        self._link = link
        self._tell = tell
        self._numbers = count(1)
        self._connections: dict[asyncio.Task[None], Witness] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Listen. Raises UsageError if that can't be."""
        self._listener = Listener(*self._listen, self._welcome)
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        for task in self._connections:
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def address(self) -> Place:
        """Where viewers connect."""
        host, port, *_ = self._listener.address
        return host, port

    def change(self, orders: Iterable[Order]) -> None:
        """Let the link be as these faults make it."""
        before, now = self._link.conditions, conditions(orders)
        self._link.change(now)
        if now.cut:
            self._listener.deafen()
            for witness in self._connections.values():
                witness.media_ceased()
        else:
            self._listener.hear()
        # What happens on a cut network is known at its far end later, if at all.
        ends = now.half_open and not now.cut
        if ends and not (before.half_open and not before.cut):
            for task in self._connections:
                task.cancel()

    def _welcome(self, viewer: socket.socket, address: Address) -> None:
        place = written((address[0], address[1]))
        witness = Witness(self._link.clock, self._tell, next(self._numbers), place)
        task = self._tasks.create_task(
            carry(viewer, target=self._target, link=self._link, witness=witness)
        )
        self._connections[task] = witness
        task.add_done_callback(self._connections.pop)
