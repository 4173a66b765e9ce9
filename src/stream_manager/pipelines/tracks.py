"""What a running source offers to the outputs of its worker."""

from dataclasses import dataclass
from typing import Literal

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import RecordedTrack, Track

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

    def recorded(self, caps: Gst.Caps | None) -> RecordedTrack:
        """Return the track as a file holds it; `caps` are those of its data on the way there."""
        return RecordedTrack(kind=self.kind, codec=self.codec, shape=shape_of(caps or self.caps))


def shape_of(caps: Gst.Caps) -> str:
    """Return "1280x720" or "48000 Hz x 2", as far as caps tell."""
    if caps.is_any() or caps.is_empty():
        return ""
    structure = caps.get_structure(0)
    for names, form in ((("width", "height"), "{}x{}"), (("rate", "channels"), "{} Hz x {}")):
        found = [structure.get_int(name) for name in names]
        if all(known for known, _ in found):
            return form.format(*(value for _, value in found))
    return ""
