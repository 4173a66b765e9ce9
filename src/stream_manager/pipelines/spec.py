"""What a worker is asked to run: plain values, made by `config/`, sent over the control socket.

Secrets stand in `RtspSource.user` and `.password` (never in a URL, a title or a command line)
and once more in `StreamSpec.secrets`, so that every text that leaves a worker is scrubbed of them.
"""

from typing import ClassVar, Literal

from msgspec import Struct

Container = Literal["auto", "ts", "mkv", "mp4"]


class Discreet(Struct, frozen=True):
    """A value that may be printed: its repr leaves out the fields that are `hidden`."""

    hidden: ClassVar[frozenset[str]]

    def __rich_repr__(self) -> list[tuple[str, object]]:
        names = (name for name in self.__struct_fields__ if name not in self.hidden)
        return [(name, getattr(self, name)) for name in names]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class RtspSource(Discreet, frozen=True, kw_only=True, tag="rtsp"):
    """A camera. `url` holds no user information; `latency_ms` is the jitter buffer's length."""

    hidden: ClassVar = frozenset({"url", "user", "password"})  # a query may hold a token

    url: str
    user: str | None = None
    password: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    latency_ms: int = 200


class FileSource(Discreet, frozen=True, kw_only=True, tag="file"):
    """A media file, looped for ever in real time. `path` is absolute."""

    hidden: ClassVar = frozenset({"path"})  # as anything that a placeholder can stand in

    path: str


class TestSource(Struct, frozen=True, kw_only=True, tag="test"):
    """A generated picture and tone."""


class PipelineSource(Discreet, frozen=True, kw_only=True, tag="pipeline"):
    """Any GStreamer bin description; each of its unlinked source pads becomes a track."""

    hidden: ClassVar = frozenset({"description"})

    description: str


class FeedSource(Struct, frozen=True, kw_only=True, tag="feed"):
    """The tracks of another worker's source, which it hands on at `path`, one connection each.

    `base_time_ns` is that source's: a buffer means the same instant in both processes.
    """

    path: str
    tracks: int
    base_time_ns: int


Source = RtspSource | FileSource | TestSource | PipelineSource | FeedSource


class RecordSpec(Struct, frozen=True, kw_only=True):
    """Where and how a stream is recorded: `directory` is the volume's absolute path.

    Segments are cut at the first video keyframe after `segment_s` seconds.
    """

    directory: str
    segment_s: float = 60.0
    container: Container = "auto"


class CustomSpec(Discreet, frozen=True, kw_only=True):
    """An output of any kind: a bin description, each of whose free sink pads takes a track.

    `id` names the part; it is neither "source" nor "record". With `isolate` it runs in a process
    of its own.
    """

    hidden: ClassVar = frozenset({"description"})

    id: str
    description: str
    isolate: bool = False


class StreamSpec(Discreet, frozen=True, kw_only=True):
    """One stream as configured. `secrets` are the values to scrub from every text."""

    hidden: ClassVar = frozenset({"secrets"})

    id: str
    source: Source
    record: RecordSpec | None = None
    outputs: tuple[CustomSpec, ...] = ()
    secrets: tuple[str, ...] = ()
