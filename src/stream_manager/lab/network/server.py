"""The proxy in its own process: one listener, one link, any number of connections."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Self

from stream_manager.clock import SystemClock, chance
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.network.connection import carry
from stream_manager.lab.network.control import answer, control_socket, read_stdin
from stream_manager.lab.network.datagrams import Address
from stream_manager.lab.network.faults import KINDS, conditions
from stream_manager.lab.network.link import Link
from stream_manager.lab.network.listener import Listener
from stream_manager.lab.network.places import Place, written
from stream_manager.lab.network.record import Record, Witness
from stream_manager.lab.network.script import Script


async def serve(
    *, listen: Place, target: Place, faults: Sequence[str], control: Path | None, owned: bool
) -> None:
    """Carry connections until a signal ends it, writing the record to stdout.

    faults: lines to obey from the beginning. control: where to make a socket that takes more.
    owned: whether the end of stdin ends it too, as it does when an owner dies.

    Raises UsageError for a fault that there is none of, a port or a path that is taken.
    """
    for line in faults:
        parse(line, KINDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()

    def unread() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        stop.set()

    record = Record(clock, sys.stdout, lost=unread)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(listen, target, Link(clock, chance), record))
        script = Script(record, relay.change)
        if control is not None:
            await stack.enter_async_context(control_socket(control, script.obey))
        host, port = relay.address
        record.tell("ready", {"host": host, "port": port})
        for line in faults:
            script.obey(line)
        read_stdin(
            lambda line: record.tell("answer", answer(line, script.obey)),
            stop.set if owned else lambda: None,
        )
        await stop.wait()


class Relay:
    """Takes viewers in and carries them over the link. An asynchronous context manager."""

    def __init__(self, listen: Place, target: Place, link: Link, record: Record) -> None:
        self._listen = listen
        self._target = target
        self._link = link
        self._record = record
        self._numbers = count(1)
        self._connections: dict[asyncio.Task[None], Witness] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Listen. Raises UsageError if that can't be."""
        self._listener = Listener(*self._listen, self._welcome)
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._listener.close()
        for task in self._connections:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

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
        witness = Witness(self._record, next(self._numbers), written((address[0], address[1])))
        task = self._tasks.create_task(
            carry(viewer, target=self._target, link=self._link, witness=witness)
        )
        self._connections[task] = witness
        task.add_done_callback(self._connections.pop)
