"""The lab's own record of what it did and when it was seen on the wire: one JSON line a fact."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Told = TypeVar("Told")


class Phase(Enum):
    """Which end of something a fact tells of."""

    BEGAN = "began"
    ENDED = "ended"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFact:
    """The camera accepts connections. `tracks` names the codec of each kind of track it sends."""

    what: ClassVar = "ready"
    at: datetime
    port: int
    urls: Mapping[str, str]
    tracks: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFact:
    """A fault began or ended; one that is done at once does both in the same moment."""

    what: ClassVar = "fault"
    at: datetime
    name: str
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact:
    """A viewer began or ended to play a mount. `viewer` counts them over the camera's life."""

    what: ClassVar = "session"
    at: datetime
    mount: str
    viewer: int
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFact:
    """When the first or the last picture of an unbroken run left for a viewer.

    A run begins with a keyframe. It ends with the session, or at a fault that stops pictures.
    """

    what: ClassVar = "media"
    at: datetime
    mount: str
    viewer: int
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFact:
    """A fault could not be caused; without a name: the camera itself ended and should not have."""

    what: ClassVar = "error"
    at: datetime
    name: str | None
    text: str


Fact = ReadyFact | FaultFact | SessionFact | MediaFact | ErrorFact
KINDS: Mapping[str, type[Fact]] = {
    kind.what: kind for kind in (ReadyFact, FaultFact, SessionFact, MediaFact, ErrorFact)
}


def instant(wall_ns: int) -> datetime:
    """Return the date and time of nanoseconds since 1970."""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)


def now() -> datetime:
    """Return the date and time of this moment."""
    return instant(time.time_ns())


def to_json(fact: "DataclassInstance") -> str:
    """Return the fact as one line of JSON."""
    told = {field.name: getattr(fact, field.name) for field in fields(fact)}
    at = told.pop("at").isoformat(timespec="milliseconds").replace("+00:00", "Z")
    rest = {
        name: value.value if isinstance(value, Phase) else value for name, value in told.items()
    }
    return json.dumps({"at": at, "what": type(fact).what, **rest})  # type: ignore[attr-defined]


def from_json(line: str | bytes) -> Fact:
    """Return the camera's fact of a line that `to_json` made."""
    return read(line, KINDS)


def read(line: str | bytes, kinds: Mapping[str, type[Told]]) -> Told:
    """Return the fact of a line that `to_json` made of one of these kinds."""
    told = json.loads(line)
    kind = kinds[told.pop("what")]
    told["at"] = datetime.fromisoformat(told["at"])
    if "phase" in told:
        told["phase"] = Phase(told["phase"])
    return kind(**told)
