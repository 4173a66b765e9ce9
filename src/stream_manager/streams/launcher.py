"""The manager's side of the fork server: keeps one running, and asks it for workers."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import Exited, FromForkServer, Spawn, Spawned, SpawnFailed
from stream_manager.streams.channel import Channel

# Building the registry of a fresh machine takes seconds; everything after is a fork.
SERVER_WITHIN_S = 30.0
SPAWN_WITHIN_S = 5.0
STATUS_WITHIN_S = 0.5
LEAVE_WITHIN_S = 0.5
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
    """

    def __init__(
        self, *, socket_path: Path, registry_path: Path, log_path: Path, clock: Clock
    ) -> None:
        self._command = (
            *(sys.executable, "-m", "stream_manager.pipelines.forkserver"),
            *("--socket", str(socket_path)),
            *("--registry", str(registry_path)),
            *("--log", str(log_path)),
        )
        self._socket_path = socket_path
        self._clock = clock
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: Channel[FromForkServer] | None = None
        self._starting = asyncio.Lock()
        self._pending: dict[tuple[str, int], asyncio.Future[Forked]] = {}
        self._statuses: dict[int, asyncio.Future[int | None]] = {}

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
        """Let the fork server go; it ends when its last worker has."""
        if self._channel is not None:
            self._channel.close()
        if self._server is not None:
            try:
                await asyncio.to_thread(self._server.wait, LEAVE_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._server.kill()  # it hangs, or its last worker does: both are of no more use
                self._server.wait()
        self._socket_path.unlink(missing_ok=True)

    async def _ready(self) -> Channel[FromForkServer]:
        async with self._starting:
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
            self._server.poll()  # reaps the one that ended
        self._socket_path.parent.mkdir(mode=0o700, exist_ok=True)
        self._socket_path.unlink(missing_ok=True)
        try:
            self._server = subprocess.Popen(  # noqa: ASYNC220, S603 - our own module, at once
                self._command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # A worker has a dozen threads that allocate little: one arena holds 0.5 MB less.
                env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            )
        except OSError as error:
            raise SpawnRefused("lost", f"the fork server can't be started: {error}") from error
        deadline_s = self._clock.monotonic_s() + SERVER_WITHIN_S
        while True:
            try:
                connection = sockets.connect(str(self._socket_path))
            except OSError as error:
                if (code := self._server.poll()) is not None:
                    raise SpawnRefused(
                        "lost", f"the fork server ended at once with exit code {code}"
                    ) from error
                if self._clock.monotonic_s() > deadline_s:
                    self._server.kill()
                    raise SpawnRefused("lost", "the fork server did not come up") from error
                await self._clock.sleep(POLL_S)
            else:
                return Channel(connection, _decoder, on_message=self._heard, on_closed=self._lost)

    def _heard(self, message: FromForkServer, fds: list[int]) -> None:
        match message:
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
        for status in self._statuses.values():
            if not status.done():
                status.set_result(None)  # nobody is left to see how they end
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(SpawnRefused("lost", f"the fork server is gone: {why}"))
