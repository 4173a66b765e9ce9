"""What manager, fork server and workers say to each other.

Each message is one packet on a Unix SOCK_SEQPACKET socket, MessagePack inside, so there is no
framing to get wrong. Instants are CLOCK_MONOTONIC seconds, which all processes of a boot share.
A *part* is what a worker runs by itself: "source" or an output's name ("record"). Each part counts
its own epochs; a fact about an older epoch changes nothing.
"""

import signal
from typing import ClassVar

import msgspec
from msgspec import Struct

from stream_manager.pipelines.spec import CustomSpec, Discreet, RecordSpec, Source

VERSION = 5
MAX_PACKET_BYTES = 65536
# A worker that gets it writes the stacks of its Python threads into its log, and goes on.
DUMP_SIGNAL = signal.SIGQUIT


# Manager -> fork server, and its answers.
class Spawn(Discreet, frozen=True, kw_only=True, tag=True):
    """Fork a worker that listens on `socket_path` and writes stdout and stderr to `log_path`.

    `digest` names the settings of the stream that it is for. `data_max_bytes` bounds what it may
    allocate (RLIMIT_DATA); `cgroup` is the directory of the control group that it joins, empty for
    none.
    """

    hidden: ClassVar = frozenset({"secrets"})

    stream: str
    instance: str
    epoch: int
    digest: str
    socket_path: str
    log_path: str
    secrets: tuple[str, ...] = ()
    data_max_bytes: int | None = None
    cgroup: str = ""


class Serving(Struct, frozen=True, kw_only=True, tag=True):
    """First packet on every connection: who forks here, by the name that its starter gave it."""

    name: str


class Spawned(Struct, frozen=True, kw_only=True, tag=True):
    """The worker lives; its pidfd travels beside this packet (SCM_RIGHTS). It already listens."""

    stream: str
    epoch: int
    pid: int


class SpawnFailed(Struct, frozen=True, kw_only=True, tag=True):
    """No worker was made: `code` is an errno's name, `text` says what was tried."""

    stream: str
    epoch: int
    code: str
    text: str


class Exited(Struct, frozen=True, kw_only=True, tag=True):
    """A worker ended and was reaped; `status` is os.waitpid's, for os.waitstatus_to_exitcode."""

    stream: str
    epoch: int
    pid: int
    status: int


# Manager -> worker.
class StartSource(Struct, frozen=True, kw_only=True, tag=True):
    """Build and play the source. `position_s` is where a file goes on.

    With `hold`, tracks wait (at most a second) until the recorder is attached, or of a feed its
    output, so that it misses no keyframe.
    """

    epoch: int
    source: Source
    position_s: float = 0.0
    hold: bool = False


class StartRecord(Struct, frozen=True, kw_only=True, tag=True):
    """Attach the recorder to the running source. `sequence` numbers the next segment."""

    epoch: int
    record: RecordSpec
    sequence: int


class StartCustom(Struct, frozen=True, kw_only=True, tag=True):
    """Attach an output of any kind to the running source."""

    epoch: int
    output: CustomSpec


class StartFeed(Struct, frozen=True, kw_only=True, tag=True):
    """Hand the tracks of the running source to the process of the output `part`, at `path`.

    Answered by FeedReady. It is a part as any other, and ends by StopPart.
    """

    part: str
    epoch: int
    path: str


class StopPart(Struct, frozen=True, kw_only=True, tag=True):
    """Tear the part down; answered by PartGone, or, past `grace_s`, by a fault "teardown".

    Stopping the source first ends the outputs' files (EOS) and then stops those outputs too.
    """

    part: str
    epoch: int
    grace_s: float


class Quit(Struct, frozen=True, kw_only=True, tag=True):
    """Finish the files, stop everything, exit 0; past `grace_s` exit all the same."""

    grace_s: float


class Attend(Struct, frozen=True, kw_only=True, tag=True):
    """The manager's first packet on every connection.

    orphan_grace_s: how long the worker goes on when this manager is gone; None: for ever.
    """

    orphan_grace_s: float | None


class Noted(Struct, frozen=True, kw_only=True, tag=True):
    """So many more facts of this connection are written down, in the order of their coming."""

    facts: int


# Worker -> manager.
class Standing(Struct, frozen=True, kw_only=True):
    """A part that a worker has now; `ending`: its teardown has begun."""

    part: str
    epoch: int
    ending: bool


class Hello(Struct, frozen=True, kw_only=True, tag=True):
    """First packet on every connection: who this is, and what it has.

    Every version's can be read: fields are added with a default, and none is taken away. What a
    worker of another version says after it can't be.

    start_ticks: when the process was started, in clock ticks since boot. cgroup: as in its Spawn.
    ending: it was told to quit. last_media_s: when its source last brought video. forgotten: how
    many facts about files were given up since nobody came for them. vitals_fd: its descriptor of
    the page of `vitals`.
    """

    version: int
    instance: str
    stream: str
    epoch: int
    pid: int
    start_ticks: int = 0
    digest: str = ""
    cgroup: str = ""
    parts: tuple[Standing, ...] = ()
    ending: bool = False
    last_media_s: float | None = None
    forgotten: int = 0
    vitals_fd: int | None = None


class Track(Struct, frozen=True, kw_only=True):
    """One elementary stream: `kind` is "video" or "audio", `codec` for example "H264", "AAC"."""

    name: str
    kind: str
    codec: str
    caps: str


class PartStarted(Struct, frozen=True, kw_only=True, tag=True):
    """The part is built and linked. For the source: every track is known."""

    part: str
    epoch: int
    tracks: tuple[Track, ...] = ()


class FeedReady(Struct, frozen=True, kw_only=True, tag=True):
    """Whoever connects `tracks` times gets the media of one track each, in GStreamer's GDP."""

    part: str
    epoch: int
    tracks: int
    base_time_ns: int


class PartFailed(Struct, frozen=True, kw_only=True, tag=True):
    """One fact of failure. The worker goes on; what to do is the manager's decision.

    `origin` is an element's factory name or one of "source", "record", "connect", "python";
    `code` is for example "gst-resource-error:9", "ECONNREFUSED", "dns", "eos", "no-video";
    `status` is an RTSP status; `text` is for people, scrubbed of secrets.
    """

    part: str
    epoch: int
    origin: str
    code: str
    status: int | None = None
    text: str = ""


class PartGone(Struct, frozen=True, kw_only=True, tag=True):
    """The part's teardown is confirmed: its elements are in NULL and its files closed.

    With `abandoned` it hangs instead, cut off from the source, and its successor can be started
    beside it.
    """

    part: str
    epoch: int
    abandoned: bool = False


class TrackProgress(Struct, frozen=True, kw_only=True, array_like=True):
    """What a track has brought in this epoch; gaps are between arrivals, since the last report.

    `key_s` is when its first keyframe arrived, which can be decoded without what came before.
    `packets`: how many RTP packets of video arrived, from which frames are made.
    """

    name: str
    frames: int
    bytes: int
    first_s: float | None
    key_s: float | None
    last_s: float | None
    gap_max_s: float
    gap_mean_s: float
    gap_deviation_s: float
    packets: int = 0


class OutputProgress(Struct, frozen=True, kw_only=True, array_like=True):
    """What an output has taken in this epoch.

    A recorder has handed it to the operating system (write(2) has returned), and names the file; a
    custom output has let it into its first elements. Instants are those of the reports that first
    and last saw it grow.
    """

    part: str
    epoch: int
    bytes: int
    first_s: float | None
    last_s: float | None
    segment: str = ""
    sequence: int = 0


class Progress(Struct, frozen=True, kw_only=True, tag=True):
    """What a look found, told when it is news, else once a second (see `pace`).

    `late_s`: how late the worker's own main loop was.
    `blocked`: the element of the source that does not let go of a buffer, where media has ceased.
    """

    at_s: float
    late_s: float
    epoch: int
    tracks: tuple[TrackProgress, ...]
    outputs: tuple[OutputProgress, ...]
    position_s: float | None = None
    blocked: str | None = None


class Graph(Struct, frozen=True, kw_only=True, tag=True):
    """What a part's pipeline looks like, when it has started or failed.

    `dot` is in Graphviz's language, compressed by zlib, and shows no property of an element.
    """

    part: str
    epoch: int
    dot: bytes


class RecordedTrack(Struct, frozen=True, kw_only=True):
    """A track as a file holds it: `shape` is "1280x720" or "48000 Hz x 2", empty if unknown."""

    kind: str
    codec: str
    shape: str


class Hole(Struct, frozen=True, kw_only=True):
    """Pictures that are missing inside a file, from when to when in UTC seconds.

    `cause`: "stall", none came; or "storage", the disk was too slow to take them.
    Holes within one second of one cause are told as one, as long as they are together.
    """

    began_at: float
    ended_at: float
    cause: str


class SegmentOpened(Struct, frozen=True, kw_only=True, tag=True):
    """A file begins, with the picture of `began_at` in UTC seconds.

    `continues`: no picture is missing between the end of the one before and its beginning.
    """

    part: str
    epoch: int
    sequence: int
    path: str
    began_at: float
    container: str
    tracks: tuple[RecordedTrack, ...]
    continues: bool


class SegmentClosed(Struct, frozen=True, kw_only=True, tag=True):
    """A file is finished and synced; of one that nothing reached `bytes` is 0, and it is removed.

    Nothing is told of a file whose muxer did not finish it: after PartGone it is as it was left.

    `duration_s` reaches from its first picture to the end of its last, holes included; times that
    were only leapt over by the timestamps are not counted.
    """

    part: str
    epoch: int
    sequence: int
    path: str
    duration_s: float
    bytes: int
    holes: tuple[Hole, ...] = ()


ToForkServer = Spawn
FromForkServer = Serving | Spawned | SpawnFailed | Exited
ToWorker = StartSource | StartRecord | StartCustom | StartFeed | StopPart | Quit | Attend | Noted
Fact = PartStarted | FeedReady | PartFailed | PartGone | SegmentOpened | SegmentClosed
FromWorker = Hello | Progress | Graph | Fact

encode = msgspec.msgpack.Encoder().encode
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)  # what decoding a foreign packet raises
