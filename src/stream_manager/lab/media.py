"""What a camera has to send: encoded units in memory, ready to be looped."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The two kinds of track that a camera has."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One access unit. `pts_ns` counts from the clip's first picture; `key` starts a GOP."""

    data: bytes
    pts_ns: int
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One elementary stream, its units in decoding order. `caps` is a GStreamer caps string."""

    kind: Kind
    caps: str
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Tracks that begin together and start over every `period_ns`."""

    tracks: tuple[Track, ...]
    period_ns: int
