"""What the probing process is asked on its stdin and answers on its stdout: one JSON value each.

The answer is Findings, or messages.PartFailed, as a worker would tell of the same failure.
"""

from typing import ClassVar

import msgspec
from msgspec import Struct

from stream_manager.pipelines.messages import PartFailed
from stream_manager.pipelines.spec import Discreet, Source

START_WITHIN_S = 15.0
# How much longer than asked it looks for a second keyframe: many cameras send one in ten seconds.
LONGER_FOR_KEYFRAME_S = 9.0
STOP_WITHIN_S = 2.0


class Look(Discreet, frozen=True, kw_only=True):
    """Play `source` and count for `seconds`; no text of the answer holds any of `secrets`."""

    hidden: ClassVar = frozenset({"secrets"})

    source: Source
    seconds: float
    secrets: tuple[str, ...] = ()

    @property
    def longest_s(self) -> float:
        """How long it may take until it is answered and its source stopped."""
        return START_WITHIN_S + self.seconds + LONGER_FOR_KEYFRAME_S + STOP_WITHIN_S


class TrackFindings(Struct, frozen=True, kw_only=True):
    """One track: what its caps declare, then what was counted over `seconds`.

    None where the caps do not say. `key_frames` are the distances between keyframes, in frames.
    """

    name: str
    kind: str
    codec: str
    profile: str | None
    width: int | None
    height: int | None
    declared_fps: float | None
    sample_rate_hz: int | None
    channels: int | None
    frames: int
    bytes: int
    seconds: float
    key_frames: tuple[int, ...]

    @property
    def fps(self) -> float:
        """Frames a second, from the first to the last that came."""
        return (self.frames - 1) / self.seconds if self.seconds else 0.0

    @property
    def bitrate_bps(self) -> float:
        """Bits a second, likewise."""
        return 8 * self.bytes / self.seconds if self.seconds else 0.0


class Findings(Struct, frozen=True, kw_only=True, tag=True):
    """The tracks that can be recorded, and for how long they were watched."""

    seconds: float
    tracks: tuple[TrackFindings, ...]


Answer = Findings | PartFailed
encode = msgspec.json.Encoder().encode
