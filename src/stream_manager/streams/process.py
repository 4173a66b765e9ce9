"""One life of a worker process: forked or adopted, heard, and seen to its end by its pidfd."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import (
    Fact,
    FromWorker,
    Hello,
    Noted,
    Quit,
    Spawn,
)
from stream_manager.pipelines.vitals import Vitals
from stream_manager.streams.channel import Channel, readable
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.meeting import Met

TERM_GRACE_S = 0.5
KILLED_WITHIN_S = 1.0  # a process of any size ends in a tenth of it, if the kernel lets it

_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


class Process:
    """A worker of one epoch. `live()` or `go_on()` spans its life; others may be called meanwhile.

    hear: takes every message. written: tells, when that is so, whether what was heard is on disk:
    the worker keeps facts until then. lost: told why, once, when it no longer talks but may still
    live.
    """

    def __init__(
        self,
        order: Spawn,
        *,
        launcher: Launcher,
        hear: Callable[[FromWorker], None],
        written: Callable[[], Awaitable[bool]],
        lost: Callable[[str], None],
    ) -> None:
        self.order = order
        self.vitals = Vitals()
        self.pid: int | None = None
        self._launcher = launcher
        self._hear = hear
        self._written = written
        self._lost = lost
        self._pidfd: int | None = None
        self._condemned = False
        self.killed_by: signal.Signals | None = None
        self._channel: Channel[FromWorker] | None = None
        self._unnoted = 0
        self._noting: asyncio.Task[None] | None = None

    def hand_to(self, hear: Callable[[FromWorker], None], lost: Callable[[str], None]) -> None:
        """Be heard by somebody else from now on."""
        self._hear, self._lost = hear, lost

    async def live(self, born: Callable[[int], None]) -> int | None:
        """Fork it, call `born` with its pid, and return its exit code when it has ended.

        None: nobody saw how it ended. Raises SpawnRefused where there was nothing to begin with.
        """
        forked = await self._launcher.spawn(self.order)
        self.pid, self._pidfd = forked.pid, forked.pidfd
        try:
            born(forked.pid)
            if self._condemned:
                self.kill(signal.SIGKILL)
            else:
                self._connect()
        except BaseException:
            self._close()
            raise
        return await self.go_on()

    def take(self, met: Met) -> None:
        """Talk to one that lives already; `go_on()` has to follow."""
        self.pid, self._pidfd = met.hello.pid, met.pidfd
        self.vitals.open(met.hello.pid, met.hello.vitals_fd)
        self._launcher.expect(met.hello.pid)
        self._talk(met.connection)

    async def go_on(self) -> int | None:
        """Return its exit code when it has ended; None: nobody saw how."""
        assert self.pid is not None
        assert self._pidfd is not None
        try:
            await readable(self._pidfd)
            with suppress(OSError):
                os.unlink(self.order.socket_path)  # noqa: PTH108 - a string, as it travels
            return await self._launcher.exit_code(self.pid)
        finally:
            self._close()

    async def end(self, life: asyncio.Task[object], grace_s: float, *, ask: bool = True) -> None:
        """Have it end, which ends `life`, if the kernel lets it: asked, then SIGTERM, SIGKILL."""
        if ask and self.send(Quit(grace_s=grace_s)):
            await asyncio.wait({life}, timeout=grace_s)
        if not life.done():
            self.kill(signal.SIGTERM)
            await asyncio.wait({life}, timeout=TERM_GRACE_S if ask else grace_s)
        if not life.done():
            self.kill(signal.SIGKILL)
            await asyncio.wait({life}, timeout=KILLED_WITHIN_S)

    def send(self, message: Struct) -> bool:
        """Tell it something; False if it can't be told."""
        return self._channel is not None and self._channel.send(message)

    @property
    def connected(self) -> bool:
        """Whether its connection stands."""
        return self._channel is not None and self._channel.open

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal; one that is still being forked gets SIGKILL instead, once it is."""
        if self._pidfd is None:
            self._condemned = True
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
            self.killed_by = number

    def fence(self) -> None:
        """Hear no more of it, whatever it still does."""
        if self._channel is not None:
            self._channel.close()

    def _connect(self) -> None:
        try:
            connection = sockets.connect(self.order.socket_path)
        except OSError as error:
            self._lost(str(error))
            return
        self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        self._channel = Channel(
            connection, _decoder, on_message=self._heard, on_closed=self._closed
        )
        self._channel.send(self._launcher.attend)

    def _heard(self, message: FromWorker, _fds: list[int]) -> None:
        if isinstance(message, Hello):
            assert self.pid is not None, "it was forked before anything connected to it"
            self.vitals.open(self.pid, message.vitals_fd)
        self._hear(message)
        if isinstance(message, Fact):
            self._unnoted += 1
            if self._noting is None or self._noting.done():
                self._noting = asyncio.create_task(self._note())

    def _closed(self, why: str) -> None:
        self._lost(why)  # whoever hears it by now

    async def _note(self) -> None:
        """Tell it which facts it need not keep any longer."""
        while count := self._unnoted:
            if not await self._written():
                return  # they wait with the worker, for the next fact to ask again
            self._unnoted -= count
            self.send(Noted(facts=count))

    def _close(self) -> None:
        self.vitals.close()
        if self._channel is not None:
            self._channel.close()
        if self._noting is not None:
            self._noting.cancel()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def in_words(code: int | None, killed_by: signal.Signals | None) -> str:
    """Return how a process ended; `killed_by` is the last signal that we sent it."""
    if code is None:
        return "it ended, and nobody saw how"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    ours = ", which this manager sent" if killed_by == -code else ""
    return f"it was ended by {name} ({signal.strsignal(-code)}){ours}"
