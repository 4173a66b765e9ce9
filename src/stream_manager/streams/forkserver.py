"""The fork server's process: started by us, or by an earlier manager and taken over."""

import asyncio
import os
import signal
import socket
import subprocess
from contextlib import suppress
from typing import Self

from stream_manager.pipelines import sockets
from stream_manager.streams.channel import readable


class Server:
    """A process that can be waited for and ended, whoever started it."""

    def __init__(self, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        """Watch `pidfd`; `child` is the same process where it is one of ours, to be reaped."""
        self._pidfd = pidfd
        self._child = child

    @classmethod
    def started(cls, child: subprocess.Popen[bytes]) -> Self:
        """Return one that we started."""
        return cls(os.pidfd_open(child.pid), child)

    @classmethod
    def behind(cls, connection: socket.socket) -> Self | None:
        """Return the one that listens at the far end; None if it has just ended."""
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(sockets.peer_pid(connection))
            if sockets.is_open(connection):  # so its pid is nobody else's by now
                return cls(pidfd, None)
            os.close(pidfd)
        return None

    async def ended(self, within_s: float) -> bool:
        """Tell whether it ends within `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await readable(self._pidfd)
        except TimeoutError:
            return False
        self.close()
        return True

    def kill(self) -> None:
        """End it at once; its workers live on."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def close(self) -> None:
        """Watch it no longer; one of ours that has ended is reaped."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self._child is not None:
            self._child.poll()
