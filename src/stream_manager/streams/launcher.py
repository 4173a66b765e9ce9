"""The manager's side of the fork server: keeps one running, and asks it for workers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import (
    Attend,
    Exited,
    FromForkServer,
    Serving,
    Spawn,
    Spawned,
    SpawnFailed,
)
from stream_manager.streams.channel import Channel
from stream_manager.streams.forkserver import Server

# Building the registry of a fresh machine takes seconds; everything after is a fork.
SERVER_WITHIN_S = 30.0
SPAWN_WITHIN_S = 5.0
STATUS_WITHIN_S = 0.5
LEAVE_WITHIN_S = 0.5
NAME_WITHIN_S = 0.5
POLL_S = 0.01

_decoder: msgspec.msgpack.Decoder[FromForkServer] = msgspec.msgpack.Decoder(FromForkServer)


class SpawnRefused(OutsideError):  # noqa: N818 - what happened, as the fault tells it
    """No worker was made; nothing is left of it. `code` is an errno's name or "lost"."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A worker that lives: `pidfd` is the caller's to close."""

    pid: int
    pidfd: int


class Launcher:
    """Spawns workers through one fork server, which it starts again whenever that is gone.

    socket_path, registry_path, log_path: the server's socket, plugin cache and log file.
    name: tells a server that forks what ours would from any other, also from that of an upgrade.
    attend: what each worker is told first.
    """

    def __init__(
        self,
        *,
        socket_path: Path,
        registry_path: Path,
        log_path: Path,
        name: str,
        attend: Attend,
        clock: Clock,
    ) -> None:
        self.attend = attend
        self._name = name
        self._command = (
            *(sys.executable, "-m", "stream_manager.pipelines.forkserver"),
            *("--socket", str(socket_path)),
            *("--name", name),
            *("--registry", str(registry_path)),
            *("--log", str(log_path)),
        )
        self._socket_path = socket_path
        self._clock = clock
        self._server: Server | None = None
        self._channel: Channel[FromForkServer] | None = None
        self._starting = asyncio.Lock()
        self._pending: dict[tuple[str, int], asyncio.Future[Forked]] = {}
        self._statuses: dict[int, asyncio.Future[int | None]] = {}
        self._named: asyncio.Future[str] | None = None
        self._left = False

    async def find(self) -> None:
        """Take over the fork server of an earlier manager, if one serves that is as ours would be.

        Another one is left: it ends with the last of its workers. From then on nothing is forked
        that an earlier manager asked for, unless that server hangs.
        """
        try:
            connection = sockets.connect(str(self._socket_path))
        except OSError:
            self._nobody_saw()
            return
        self._named = asyncio.get_running_loop().create_future()
        channel = self._talk(connection)
        try:
            async with asyncio.timeout(NAME_WITHIN_S):
                ours = await self._named == self._name
        except (TimeoutError, SpawnRefused):
            ours = False
        if ours and channel.open:
            self._channel, self._server = channel, Server.behind(connection)
        else:
            channel.close()
            self._nobody_saw()

    async def spawn(self, order: Spawn) -> Forked:
        """Return a worker that already listens. Raises SpawnRefused."""
        channel = await self._ready()
        key = (order.stream, order.epoch)
        forked: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._pending[key] = forked
        try:
            if not channel.send(order):
                self._abandon(channel, "it takes no orders")
                raise SpawnRefused("lost", "the fork server does not take orders")
            # Not by a timeout: a manager that was stuck meanwhile finds the answer and the end of
            # its patience together, and the answer counts.
            await asyncio.wait((forked,), timeout=SPAWN_WITHIN_S)
            if not forked.done():
                self._abandon(channel, "it does not answer")
                raise SpawnRefused("lost", "the fork server does not answer")
            return forked.result()
        finally:
            self._pending.pop(key, None)

    def expect(self, pid: int) -> None:
        """Be ready to hear how a worker ends that an earlier manager spawned, or has ended since.

        Of the latter the fork server tells as soon as it is found, so they are expected before.
        """
        if pid not in self._statuses:
            self._statuses[pid] = asyncio.get_running_loop().create_future()

    async def exit_code(self, pid: int) -> int | None:
        """Return how a worker that has ended did: negative for a signal; None if nobody saw it."""
        try:
            async with asyncio.timeout(STATUS_WITHIN_S):
                status = await self._statuses[pid]
                return None if status is None else os.waitstatus_to_exitcode(status)
        except TimeoutError:
            return None
        finally:
            self._statuses.pop(pid, None)

    async def close(self) -> None:
        """Let the fork server go, unless it was left; it ends when its last worker has."""
        if self._left:
            return
        if self._channel is not None:
            self._channel.close()
        if self._server is not None and not await self._server.ended(LEAVE_WITHIN_S):
            self._server.kill()  # it hangs, or its last worker does: both are of no more use
        self._socket_path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Leave fork server and workers to the next manager."""
        self._left = True
        if self._channel is not None and self._channel.open:
            self._channel.close()
        elif self._server is not None:
            self._server.kill()  # still being started: nothing runs in it, and nobody would meet it

    async def _ready(self) -> Channel[FromForkServer]:
        async with self._starting:
            if self._left:
                raise SpawnRefused("lost", "the manager leaves, and its workers to the next one")
            if self._channel is None or not self._channel.open:
                self._channel = await self._start()
            return self._channel

    def _abandon(self, channel: Channel[FromForkServer], why: str) -> None:
        """End a fork server that hangs; its workers live on, and their exits read "unknown"."""
        if channel is self._channel and channel.open:
            channel.close()
            if self._server is not None:
                self._server.kill()
            self._lost(why)

    async def _start(self) -> Channel[FromForkServer]:
        if self._server is not None:
            self._server.close()
        self._socket_path.parent.mkdir(mode=0o700, exist_ok=True)
        self._socket_path.unlink(missing_ok=True)
        try:
            started = subprocess.Popen(  # noqa: ASYNC220, S603 - our own module, at once
                self._command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # A worker has a dozen threads that allocate little: one arena holds 0.5 MB less.
                env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            )
            self._server = Server.started(started)
        except OSError as error:
            raise SpawnRefused("lost", f"the fork server can't be started: {error}") from error
        deadline_s = self._clock.monotonic_s() + SERVER_WITHIN_S
        while True:
            try:
                connection = sockets.connect(str(self._socket_path))
            except OSError as error:
                if (code := started.poll()) is not None:
                    raise SpawnRefused(
                        "lost", f"the fork server ended at once with exit code {code}"
                    ) from error
                if self._clock.monotonic_s() > deadline_s:
                    self._server.kill()
                    raise SpawnRefused("lost", "the fork server did not come up") from error
                await self._clock.sleep(POLL_S)
            else:
                return self._talk(connection)

    def _talk(self, connection: socket.socket) -> Channel[FromForkServer]:
        return Channel(connection, _decoder, on_message=self._heard, on_closed=self._lost)

    def _heard(self, message: FromForkServer, fds: list[int]) -> None:
        match message:
            case Serving():
                if self._named is not None and not self._named.done():
                    self._named.set_result(message.name)
            case Spawned():
                self._spawned(message, fds)
            case SpawnFailed():
                pending = self._pending.get((message.stream, message.epoch))
                if pending is not None and not pending.done():
                    pending.set_exception(SpawnRefused(message.code, message.text))
            case Exited():
                status = self._statuses.get(message.pid)
                if status is not None and not status.done():
                    status.set_result(message.status)

    def _spawned(self, message: Spawned, fds: list[int]) -> None:
        pending = self._pending.get((message.stream, message.epoch))
        if pending is None or pending.done() or not fds:
            # Its order was given up, or we are out of descriptors: nobody would ever watch it.
            with suppress(ProcessLookupError):
                os.kill(message.pid, signal.SIGKILL)
            for fd in fds:
                os.close(fd)
            if pending is not None and not pending.done():
                pending.set_exception(SpawnRefused("EMFILE", "no descriptor is left to watch it"))
            return
        self._statuses[message.pid] = asyncio.get_running_loop().create_future()
        pending.set_result(Forked(pid=message.pid, pidfd=fds[0]))

    def _lost(self, why: str) -> None:
        if self._named is not None and not self._named.done():
            self._named.set_exception(SpawnRefused("lost", why))
        self._nobody_saw()
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(SpawnRefused("lost", f"the fork server is gone: {why}"))

    def _nobody_saw(self) -> None:
        """Know that nobody is left to see how the workers end that are known so far."""
        for status in self._statuses.values():
            if not status.done():
                status.set_result(None)
