"""What a network's record tells, each fact a line of JSON as in `lab.record`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from stream_manager.lab.record import ErrorFact, FaultFact, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFact:
    """Viewers can connect."""

    what: ClassVar = "ready"
    at: datetime
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFact:
    """A viewer's connection began or ended. `viewer` counts them, `address` is HOST:PORT.

    why: what was in the way, where it could not be carried (to the end); else None.
    """

    what: ClassVar = "connection"
    at: datetime
    viewer: int
    address: str
    phase: Phase
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFact:
    """When the first or the last media of an unbroken run was passed on to a viewer.

    A run ends with the connection, or at a cut.
    """

    what: ClassVar = "media"
    at: datetime
    viewer: int
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFact:
    """A line on stdin was obeyed, or, with an `error`, refused."""

    what: ClassVar = "answer"
    at: datetime
    error: str | None


Fact = ReadyFact | FaultFact | ConnectionFact | MediaFact | ErrorFact
KINDS: Mapping[str, type[Fact | AnswerFact]] = {
    kind.what: kind
    for kind in (ReadyFact, FaultFact, ConnectionFact, MediaFact, ErrorFact, AnswerFact)
}
