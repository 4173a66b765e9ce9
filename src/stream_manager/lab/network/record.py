"""The proxy's own record: what it did and saw, each fact with its instant as a line of JSON."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import IO

from stream_manager.clock import Clock


class Record:
    """Writes facts as they happen. `lost` is called when nobody reads them any more."""

    def __init__(self, clock: Clock, out: IO[str], lost: Callable[[], None]) -> None:
        self.clock = clock
        self._out = out
        self._lost = lost

    def tell(self, what: str, details: Mapping[str, object], *, at: datetime | None = None) -> None:
        """Write what happened, now or at the instant `at`."""
        instant = (at or self.clock.wall()).isoformat(timespec="milliseconds")
        fact = {"at": instant.removesuffix("+00:00") + "Z", "what": what, **details}
        try:
            self._out.write(json.dumps(fact) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self._lost()


class Witness:
    """Sees what happens to one viewer's connection, and when its media began and ceased."""

    def __init__(self, record: Record, number: int, viewer: str) -> None:
        self._record = record
        self._who = {"id": number, "viewer": viewer}
        self._last_at: datetime | None = None

    def began(self) -> None:
        """The viewer's connection was accepted."""
        self._tell("began")

    def refused(self, error: OSError) -> None:
        """The target could not be reached."""
        # asyncio has put words of its own in the place of the system's; a resolver's are its own.
        why = str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        self._tell("refused", why=why)

    def failed(self, errors: BaseExceptionGroup[OSError]) -> None:
        """Something was missing here to carry it on."""
        self._tell("failed", why=str(errors.exceptions[0]))

    def ended(self) -> None:
        """The viewer's connection is over."""
        self.media_ceased()
        self._tell("ended")

    def media(self) -> None:
        """Media was passed on to the viewer just now."""
        now = self._record.clock.wall()
        if self._last_at is None:
            self._record.tell("media", {"phase": "first", **self._who}, at=now)
        self._last_at = now

    def media_ceased(self) -> None:
        """No more media comes, or none until the link is well again."""
        if self._last_at is not None:
            self._record.tell("media", {"phase": "last", **self._who}, at=self._last_at)
            self._last_at = None

    def _tell(self, phase: str, **details: str) -> None:
        self._record.tell("connection", {"phase": phase, **self._who, **details})
