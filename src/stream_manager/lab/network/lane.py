"""One direction of a TCP connection through the link: what one side sends, the other gets later."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from stream_manager.lab.network.link import Bottleneck, Link

# As much as a TCP window holds: more than that is never on its way, and the sender has to wait.
ON_THE_WAY_BYTES = 4 * 1024 * 1024


class End(Enum):
    """How a side ended its sending."""

    CLOSED = "closed"
    RESET = "reset"


class Reset(Exception):  # noqa: N818 - the name says what happened
    """A side's reset has reached the other: the whole connection is over."""


class Translator(Protocol):
    """What reads along in a lane, and may change what is said."""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take what was received; return what to pass on, and whether media is in it."""
        ...

    def rest(self) -> bytes:
        """Return what is still held back, at the sender's end."""
        ...


@dataclass(frozen=True, slots=True)
class _Parcel:
    due_s: float
    content: bytes | End
    media: bool


class Lane:
    """Carries bytes from `source` to `sink`, in order and to the last, as the link allows.

    on_media: called when media is passed on.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        *,
        link: Link,
        bottleneck: Bottleneck,
        translator: Translator,
        on_media: Callable[[], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._link = link
        self._bottleneck = bottleneck
        self._translator = translator
        self._on_media = on_media
        self._parcels: asyncio.Queue[_Parcel] = asyncio.Queue()
        self._latest_s = 0.0
        self._held_bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self, opposite: "Lane") -> None:
        """Carry until the source's end has reached the sink.

        Raises Reset when the connection is over for both. `opposite` carries the other direction.
        """
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read())
            try:
                await self._write()
            except OSError:
                # The sink is gone. Its owner knows; the source learns it by the other direction.
                opposite.end(End.RESET)
            reading.cancel()

    def end(self, how: End) -> None:
        """Let the sink know, in due time, that the source has ended."""
        if rest := self._translator.rest():
            self._put(rest, self._link.clock.monotonic_s(), media=False)
        self._put(how, self._link.end_s(), media=False)

    async def _read(self) -> None:
        loop, link = asyncio.get_running_loop(), self._link
        while True:
            await self._room.wait()
            await link.carries()
            try:
                data = await loop.sock_recv(self._source, link.grain_bytes)
            except OSError:
                self.end(End.RESET)
                return
            if not data:
                self.end(End.CLOSED)
                return
            passed_s, due_s = link.take(len(data), self._bottleneck)
            content, media = self._translator.feed(data)
            if content:
                self._put(content, due_s, media=media)
            # Nothing more is read meanwhile, so that the sender feels how slow the link is.
            if (wait_s := passed_s - link.clock.monotonic_s()) > 0:
                await link.clock.sleep(wait_s)

    def _put(self, content: bytes | End, due_s: float, *, media: bool) -> None:
        self._latest_s = max(self._latest_s, due_s)  # what was sent later never arrives earlier
        self._parcels.put_nowait(_Parcel(self._latest_s, content, media))
        if isinstance(content, bytes):
            self._hold(len(content))

    def _hold(self, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        if self._held_bytes < ON_THE_WAY_BYTES:
            self._room.set()
        else:
            self._room.clear()

    async def _write(self) -> None:
        loop, link = asyncio.get_running_loop(), self._link
        while True:
            parcel = await self._parcels.get()
            if (wait_s := parcel.due_s - link.clock.monotonic_s()) > 0:
                await link.clock.sleep(wait_s)
            await link.carries()
            if parcel.content is End.RESET:
                raise Reset
            if isinstance(parcel.content, End):
                self._sink.shutdown(socket.SHUT_WR)
                return
            if parcel.media:
                self._on_media()
            await loop.sock_sendall(self._sink, parcel.content)
            self._hold(-len(parcel.content))
