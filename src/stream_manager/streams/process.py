"""One life of a worker process: forked, connected, heard, and seen to its end by its pidfd."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import FromWorker, Spawn
from stream_manager.streams.channel import Channel
from stream_manager.streams.launcher import Launcher

_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


class Process:
    """A worker of one epoch. `live()` spans its life; the other methods may be called meanwhile.

    hear: takes every message. lost: told why, once, when it no longer talks but may still live.
    """

    def __init__(
        self,
        order: Spawn,
        *,
        launcher: Launcher,
        hear: Callable[[FromWorker], None],
        lost: Callable[[str], None],
    ) -> None:
        self.order = order
        self.pid: int | None = None
        self._launcher = launcher
        self._hear = hear
        self._lost = lost
        self._pidfd: int | None = None
        self._condemned = False
        self.killed_by: signal.Signals | None = None
        self._channel: Channel[FromWorker] | None = None

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
            await _readable(forked.pidfd)
            return await self._launcher.exit_code(forked.pid)
        finally:
            if self._channel is not None:
                self._channel.close()
            self._pidfd = None
            os.close(forked.pidfd)
            with suppress(FileNotFoundError):
                os.unlink(self.order.socket_path)  # noqa: PTH108 - a string, as it travels

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
        self._channel = Channel(
            connection,
            _decoder,
            on_message=lambda message, _: self._hear(message),
            on_closed=self._lost,
        )


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


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
