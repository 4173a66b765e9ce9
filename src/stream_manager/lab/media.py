"""What a camera has to send: encoded units in memory, ready to be looped."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

CODECS = {
    "video/x-h264": "h264",
    "video/x-h265": "h265",
    "image/jpeg": "mjpeg",
    "audio/mpeg": "aac",
    "audio/x-opus": "opus",
    "audio/x-alaw": "pcma",
    "audio/x-mulaw": "pcmu",
}


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

    @property
    def media_type(self) -> str:
        """The first word of the caps."""
        return self.caps.split(",", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Tracks that begin together and start over every `period_ns`; the first is the video."""

    tracks: tuple[Track, ...]
    period_ns: int

    @property
    def codecs(self) -> Mapping[str, str]:
        """The codec of each kind of track that there is."""
        return {track.kind.value: CODECS[track.media_type] for track in self.tracks}

    @property
    def keyframes_only(self) -> bool:
        """Whether no picture builds on another."""
        return all(unit.key for unit in self.tracks[0].units)

    def with_sound_of(self, other: Self) -> Self:
        """Return this clip's pictures with the other's sound, repeated or cut to fit."""
        sound = tuple(
            replace(track, units=tuple(_filled(track, other.period_ns, self.period_ns)))
            for track in other.tracks[1:]
        )
        return replace(self, tracks=(self.tracks[0], *sound))


def _filled(track: Track, period_ns: int, length_ns: int) -> list[Unit]:
    """Repeat a track's units, one round every `period_ns`, until `length_ns` is full."""
    rounds = (
        replace(unit, pts_ns=start_ns + unit.pts_ns)
        for start_ns in itertools.count(0, period_ns)
        for unit in track.units
    )
    return list(itertools.takewhile(lambda unit: unit.pts_ns < length_ns, rounds))
