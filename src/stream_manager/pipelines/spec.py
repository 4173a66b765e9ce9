"""What a worker is asked to run: plain values, made by `config/`, sent over the control socket.

Secrets stand in `RtspSource.user` and `.password` (never in a URL, a title or a command line)
and once more in `StreamSpec.secrets`, so that every text that leaves a worker is scrubbed of them.
"""

from typing import Literal

from msgspec import Struct

Container = Literal["auto", "ts", "mkv", "mp4"]


class RtspSource(Struct, frozen=True, kw_only=True, tag="rtsp"):
    """A camera. `url` holds no user information; `latency_ms` is the jitter buffer's length."""

    url: str
    user: str | None = None
    password: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    latency_ms: int = 200


class FileSource(Struct, frozen=True, kw_only=True, tag="file"):
    """A media file, looped for ever in real time. `path` is absolute."""

    path: str


class TestSource(Struct, frozen=True, kw_only=True, tag="test"):
    """A generated picture and tone."""


class PipelineSource(Struct, frozen=True, kw_only=True, tag="pipeline"):
    """Any GStreamer bin description; each of its unlinked source pads becomes a track."""

    description: str


Source = RtspSource | FileSource | TestSource | PipelineSource


class RecordSpec(Struct, frozen=True, kw_only=True):
    """Where and how a stream is recorded: `directory` is the volume's absolute path.

    Segments are cut at the first video keyframe after `segment_s` seconds.
    """

    directory: str
    segment_s: float = 60.0
    container: Container = "auto"


class StreamSpec(Struct, frozen=True, kw_only=True):
    """One stream as configured. `secrets` are the values to scrub from every text."""

    id: str
    source: Source
    record: RecordSpec | None = None
    secrets: tuple[str, ...] = ()
