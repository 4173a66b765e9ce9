"""What a recorded file holds: the answer of `measure`, for processes without GStreamer."""

from msgspec import Struct

from stream_manager.pipelines.messages import RecordedTrack


class Measurement(Struct, frozen=True, kw_only=True):
    """What can be played of the file at `path`, from its first picture to the end of its last.

    `whole` is False where the file breaks off; `error` says why nothing can be played, if so.
    """

    path: str
    duration_s: float = 0.0
    tracks: tuple[RecordedTrack, ...] = ()
    whole: bool = True
    error: str = ""
