"""What the API needs of the manager behind it."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from stream_manager.store import Entry

Verb = Literal["restart", "stop", "start", "reset"]


class Service(Protocol):
    """The manager, as its clients see it. Every method is called on the event loop."""

    def stream_ids(self) -> Sequence[str]:
        """Return the configured streams; the others are only called with one of these."""
        ...

    def status(self) -> dict[str, Any]:
        """Return what models.Status describes."""
        ...

    async def explain(self, stream: str) -> dict[str, Any]:
        """Return what models.Explanation describes."""
        ...

    async def command(self, stream: str, verb: Verb) -> None:
        """Take an operator's command and return before it is carried out.

        Raises UsageError if it makes no sense now.
        """
        ...

    async def journal(
        self, stream: str | None, after: int | None, limit: int, wait_s: float
    ) -> list[Entry]:
        """Return what Store.follow does."""
        ...

    def shutdown(self) -> None:
        """Begin to stop the streams and the manager."""
        ...
