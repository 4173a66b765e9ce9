"""What the systemd that started us is told: that we are ready, how we are, and that we live."""

import os
import socket
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Self

from stream_manager.clock import Clock

# The line that `systemctl status` shows is renewed this often, watchdog or not.
STATUS_EVERY_S = 5.0
# A sign of life that comes late or is lost must not end us: three more come in the same time.
BEATS_IN_A_WATCHDOG = 4


class Systemd:
    """The notification socket of our unit; where there is none, nothing is told and nobody asks.

    address: of a datagram socket, a path or "@" and an abstract name; "" for none.
    watchdog_s: how long we may give no sign of life; None where nobody waits for one.
    """

    def __init__(self, address: str, watchdog_s: float | None, *, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._every_s = STATUS_EVERY_S
        if watchdog_s is not None:
            self._every_s = min(watchdog_s / BEATS_IN_A_WATCHDOG, STATUS_EVERY_S)
        self._next_s = clock.monotonic_s()

    @classmethod
    def of(cls, environ: MutableMapping[str, str], *, clock: Clock) -> Self:
        """Take systemd's variables out of `environ`: no child shall speak for us."""
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        ours = usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if ours else None, clock=clock)

    def ready(self) -> None:
        """Tell that streams are configured and the API answers."""
        self._tell("READY=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that the configuration is being read again, and when that is done or refused."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.monotonic_s() * 1e6)}")
        try:
            yield
        finally:
            self._tell("READY=1")

    def stopping(self) -> None:
        """Tell that we are ending."""
        self._tell("STOPPING=1")

    def beat(self, status: Callable[[], str]) -> None:
        """Give a sign of life with a line of `status`, if it is time for one."""
        now_s = self._clock.monotonic_s()
        if self._address and now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._tell("WATCHDOG=1", f"STATUS={status()}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # The kernel writes an abstract name's "@" as a zero.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        # One that is deaf, or gone, is no reason to stop a stream: its own patience will end.
        with socket.socket(socket.AF_UNIX, kind) as speaker, suppress(OSError):
            speaker.sendto("\n".join(lines).encode(), address)
