"""Source specifications made into pipelines; their pads become tracks in source.py."""

import errno
import socket
from dataclasses import dataclass

from stream_manager.pipelines import sockets
from stream_manager.pipelines.arrival import FirstPicture
from stream_manager.pipelines.codecs import chain_for
from stream_manager.pipelines.elements import BadSourceError, make
from stream_manager.pipelines.faults import code_of
from stream_manager.pipelines.file import FileLoop
from stream_manager.pipelines.gst import GLib, Gst, GstRtsp
from stream_manager.pipelines.spec import (
    FeedSource,
    FileSource,
    PipelineSource,
    RtspSource,
    Source,
    TestSource,
)

TCP_TIMEOUT_US = 3_000_000
_READ_BYTES = 65536
_FIRST_REQUESTS = (GstRtsp.RTSPMethod.OPTIONS, GstRtsp.RTSPMethod.DESCRIBE)

# Small, for many run at once: 1 % of a core, where 640x360 takes four times that.
_TEST_PICTURE = (
    "videotestsrc is-live=true pattern=ball animation-mode=frames"
    " ! video/x-raw,format=I420,width=320,height=180,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=300 threads=1"
)
_TEST_TONE = (
    "audiotestsrc is-live=true wave=ticks samplesperbuffer=1024"
    " ! audio/x-raw,rate=48000,channels=1 ! voaacenc bitrate=48000"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A source pipeline in NULL. `pads` are there; `growing` elements add theirs later."""

    pipeline: Gst.Pipeline
    pads: tuple[Gst.Pad, ...] = ()
    growing: tuple[Gst.Element, ...] = ()
    file: FileLoop | None = None


def build(source: Source, *, position_s: float) -> Built:
    """Return the pipeline of `source`; raises BadSourceError."""
    match source:
        case RtspSource():
            return _build_rtsp(source)
        case FileSource():
            file = FileLoop(source.path, position_s=position_s)
            return Built(pipeline=file.pipeline, file=file)
        case TestSource():
            return _build_description(f"{_TEST_PICTURE} {_TEST_TONE}")
        case PipelineSource():
            return _build_description(source.description)
        case FeedSource():
            return _build_feed(source)


def _build_rtsp(source: RtspSource) -> Built:
    rtspsrc = make("rtspsrc")
    rtspsrc.set_property("location", source.url)
    if source.user is not None:
        rtspsrc.set_property("user-id", source.user)
    if source.password is not None:
        rtspsrc.set_property("user-pw", source.password)
    rtspsrc.set_property("latency", source.latency_ms)
    rtspsrc.set_property("tcp-timeout", TCP_TIMEOUT_US)
    Gst.util_set_object_arg(rtspsrc, "protocols", source.transport)
    rtspsrc.connect("select-stream", _is_recordable)
    rtspsrc.connect("before-send", _guesses_once)
    rtspsrc.connect("pad-added", _stamps_by_arrival)
    pipeline = Gst.Pipeline()
    pipeline.add(rtspsrc)
    return Built(pipeline=pipeline, growing=(rtspsrc,))


def _guesses_once(_rtspsrc: Gst.Element, request: GstRtsp.RTSPMessage) -> bool:
    """Return whether to send a request: the first ones not twice with the same password.

    rtspsrc itself sends a wrong one eight times (seen), which locks accounts. After 401 it sends
    the same request again, which by then bears the header. Later requests may be repeated: a
    nonce may expire.
    """
    _, method, _, _ = request.parse_request()
    if method not in _FIRST_REQUESTS:
        return True
    answered, _ = request.get_header(GstRtsp.RTSPHeaderField.AUTHORIZATION, 0)
    return answered != GstRtsp.RTSPResult.OK


def _is_recordable(_rtspsrc: Gst.Element, _number: int, caps: Gst.Caps) -> bool:
    """Return whether the camera is to send this stream; its metadata, for one, is not wanted."""
    try:
        chain_for(caps)
    except BadSourceError:
        return False
    return True


def _stamps_by_arrival(rtspsrc: Gst.Element, pad: Gst.Pad) -> None:
    latency_ns = rtspsrc.get_property("latency") * Gst.MSECOND
    FirstPicture(pad, rtspsrc.get_current_running_time, latency_ns=latency_ns)


def _build_feed(source: FeedSource) -> Built:
    """Connect for each track; the descriptors last as long as the process, which plays one feed."""
    pipeline = Gst.Pipeline()
    pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
    pipeline.set_base_time(source.base_time_ns)
    pads = []
    for _ in range(source.tracks):
        try:
            connection = sockets.connect(source.path, kind=socket.SOCK_STREAM)
        except OSError as error:
            raise BadSourceError(
                f"the stream's worker does not hand on its media: {error}",
                origin="feed",
                code=errno.errorcode.get(error.errno or 0, "EIO"),
            ) from error
        reader, depay = make("fdsrc"), make("gdpdepay")
        reader.set_property("fd", connection.detach())
        reader.set_property("blocksize", _READ_BYTES)
        for element in (reader, depay):
            pipeline.add(element)
        reader.link(depay)
        pads += depay.srcpads
    return Built(pipeline=pipeline, pads=tuple(pads))


def _build_description(description: str) -> Built:
    try:
        parsed = Gst.parse_launch_full(description, None, Gst.ParseFlags.FATAL_ERRORS)
    except GLib.Error as error:
        raise BadSourceError(
            f"the pipeline description can't be built: {error.message}",
            origin="source",
            code=code_of(error),
        ) from error
    if isinstance(parsed, Gst.Pipeline):
        pipeline = parsed
    else:
        pipeline = Gst.Pipeline()
        pipeline.add(parsed)
    pads = []
    growing = []
    for element in pipeline.children:
        pads += [pad for pad in element.srcpads if not pad.is_linked()]
        if (factory := element.get_factory()) is not None and factory.get_name() == "rtspsrc":
            element.connect("pad-added", _stamps_by_arrival)
        if _adds_source_pads(element):
            growing.append(element)
    return Built(pipeline=pipeline, pads=tuple(pads), growing=tuple(growing))


def _adds_source_pads(element: Gst.Element) -> bool:
    return any(
        template.direction == Gst.PadDirection.SRC
        and template.presence == Gst.PadPresence.SOMETIMES
        for template in element.get_pad_template_list()
    )
