"""How the demo speaks: lines of a story, and the manager's status, to whoever watches."""

from enum import Enum
from typing import Protocol

from stream_manager.lab.demo_results import Json


class Beat(Enum):
    """What a line of the story is about."""

    STEP = "step"
    FAULT = "fault"
    NOTICED = "noticed"
    HEALED = "healed"
    LOST = "lost"


class Audience(Protocol):
    """Whoever the demo is shown to."""

    def tell(self, beat: Beat, line: str) -> None:
        """Take the next line of the story."""
        ...

    def show(self, status: Json) -> None:
        """Take the newest status of the manager."""
        ...
