"""Who plays a camera just now: what must still be told of them when its process can't tell it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from stream_manager.lab.record import Fact, MediaFact, Phase, SessionFact


class Audience:
    """The sessions and the runs of pictures that have begun and not ended, by what was told."""

    def __init__(self) -> None:
        self.next_viewer = 1
        self._viewers: dict[int, SessionFact] = {}
        self._showing: dict[int, MediaFact] = {}

    def see(self, fact: Fact) -> None:
        """Take in what the camera told."""
        match fact:
            case SessionFact(phase=Phase.BEGAN):
                self._viewers[fact.viewer] = fact
                self.next_viewer = fact.viewer + 1
            case SessionFact():
                self._viewers.pop(fact.viewer, None)
            case MediaFact(phase=Phase.FIRST):
                self._showing[fact.viewer] = fact
            case MediaFact():
                self._showing.pop(fact.viewer, None)

    def blind(self, last_picture_at: Callable[[str], datetime]) -> list[MediaFact]:
        """Return the ends of all runs of pictures, of which a mount's last left at that time."""
        ended = [
            replace(first, at=max(first.at, last_picture_at(first.mount)), phase=Phase.LAST)
            for first in self._showing.values()
        ]
        self._showing.clear()
        return ended

    def dismiss(self, at: datetime) -> list[SessionFact]:
        """Return the ends of all sessions."""
        ended = [replace(began, at=at, phase=Phase.ENDED) for began in self._viewers.values()]
        self._viewers.clear()
        return ended
