"""What a running source offers to the outputs of its worker."""

from dataclasses import dataclass
from typing import Literal

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import Track

Kind = Literal["video", "audio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTrack:
    """One elementary stream, parsed, at a tee of the source pipeline.

    `codec` is one of H264, H265, JPEG, AAC, OPUS, PCMU, PCMA, PCM (S16LE). The tee has
    `allow-not-linked`, so that outputs come and go while the source plays.
    """

    name: str
    kind: Kind
    codec: str
    caps: Gst.Caps
    tee: Gst.Element

    def described(self) -> Track:
        """Return what the manager is told of it."""
        return Track(name=self.name, kind=self.kind, codec=self.codec, caps=self.caps.to_string())
