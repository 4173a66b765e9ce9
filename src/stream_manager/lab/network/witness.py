"""Sees what happens to one viewer's connection, and when its media began and ceased."""

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from stream_manager.clock import Clock
from stream_manager.lab.network.facts import ConnectionFact, Fact, MediaFact
from stream_manager.lab.record import Phase

if TYPE_CHECKING:
    from datetime import datetime


class Witness:
    """Tells of the connection of the viewer with that number, at that address."""

    def __init__(
        self, clock: Clock, tell: Callable[[Fact], None], viewer: int, address: str
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._viewer = viewer
        self._address = address
        self._last_at: datetime | None = None
        self._obstacle: str | None = None
        self._note(Phase.BEGAN)

    def met(self, obstacle: OSError) -> None:
        """The connection can't be carried, or not any further."""
        # asyncio has put words of its own in the place of the system's; a resolver's are its own.
        by_resolver = isinstance(obstacle, socket.gaierror)
        self._obstacle = str(obstacle) if by_resolver else os.strerror(obstacle.errno or 0)

    def ended(self) -> None:
        """The connection is over."""
        self.media_ceased()
        self._note(Phase.ENDED)

    def media(self) -> None:
        """Media is passed on to the viewer just now."""
        now = self._clock.wall()
        if self._last_at is None:
            self._tell(MediaFact(at=now, viewer=self._viewer, phase=Phase.FIRST))
        self._last_at = now

    def media_ceased(self) -> None:
        """No more media comes, or none until the link is well again."""
        if self._last_at is not None:
            self._tell(MediaFact(at=self._last_at, viewer=self._viewer, phase=Phase.LAST))
            self._last_at = None

    def _note(self, phase: Phase) -> None:
        fact = ConnectionFact(
            at=self._clock.wall(),
            viewer=self._viewer,
            address=self._address,
            phase=phase,
            why=self._obstacle,
        )
        self._tell(fact)
