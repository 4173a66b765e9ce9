"""Which elements turn a source's pad into a track: one row for each codec that can be recorded."""

from dataclasses import dataclass

from stream_manager.pipelines.elements import BadSourceError
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.tracks import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """How one codec arrives and is parsed.

    `media_type` and `mpeg_version` recognise it by its caps, `rtp` maps the encoding names of
    RTP to their depayloaders, `parser` is a gst-launch chain that ends in complete frames.
    """

    name: str
    kind: Kind
    media_type: str
    rtp: dict[str, str]
    parser: str
    mpeg_versions: tuple[int, ...] = ()


# Byte-stream with parameter sets before every keyframe: an output may join at any of them. This
# and ADTS are what MPEG-TS, the usual container, takes, so that nothing is parsed a second time.
_WHOLE_FRAMES = "stream-format=byte-stream,alignment=au"
_PARSE_H264 = f"h264parse config-interval=-1 ! capsfilter caps=video/x-h264,{_WHOLE_FRAMES}"
_PARSE_AAC = "aacparse ! capsfilter caps=audio/mpeg,stream-format=adts"
_PARSE_H265 = f"h265parse config-interval=-1 ! capsfilter caps=video/x-h265,{_WHOLE_FRAMES}"

CODECS = (
    Codec(
        name="H264",
        kind="video",
        media_type="video/x-h264",
        rtp={"H264": "rtph264depay"},
        parser=_PARSE_H264,
    ),
    Codec(
        name="H265",
        kind="video",
        media_type="video/x-h265",
        rtp={"H265": "rtph265depay"},
        parser=_PARSE_H265,
    ),
    Codec(
        name="JPEG",
        kind="video",
        media_type="image/jpeg",
        rtp={"JPEG": "rtpjpegdepay"},
        parser="jpegparse",
    ),
    Codec(
        name="AAC",
        kind="audio",
        media_type="audio/mpeg",
        mpeg_versions=(2, 4),
        rtp={"MPEG4-GENERIC": "rtpmp4gdepay", "MP4A-LATM": "rtpmp4adepay"},
        parser=_PARSE_AAC,
    ),
    Codec(
        name="OPUS",
        kind="audio",
        media_type="audio/x-opus",
        rtp={"OPUS": "rtpopusdepay"},
        parser="opusparse",
    ),
    Codec(
        name="PCMU",
        kind="audio",
        media_type="audio/x-mulaw",
        rtp={"PCMU": "rtppcmudepay"},
        parser="identity silent=true",
    ),
    Codec(
        name="PCMA",
        kind="audio",
        media_type="audio/x-alaw",
        rtp={"PCMA": "rtppcmadepay"},
        parser="identity silent=true",
    ),
    Codec(
        name="PCM",
        kind="audio",
        media_type="audio/x-raw",
        rtp={"L16": "rtpL16depay"},
        parser="audioconvert ! capsfilter caps=audio/x-raw,format=S16LE,layout=interleaved",
    ),
)

PACKETS = "packets"  # the name of the element that has counted what a depayloader gets
_PACKETS = f"identity name={PACKETS} silent=true"
_BY_ENCODING_NAME = {name: codec for codec in CODECS for name in codec.rtp}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What stands between a source's pad and the tee: `launch` is a gst-launch description."""

    codec: Codec
    launch: str


def chain_for(caps: Gst.Caps) -> Chain:
    """Return how to make a track of a pad with these caps.

    Raises BadSourceError, code "raw-video" or "codec", when it can't be recorded.
    """
    structure = caps.get_structure(0)
    media_type = structure.get_name()
    if structure.has_field("encoding-name"):  # RTP, or a stream that an SDP announces
        encoding_name = (structure.get_string("encoding-name") or "").upper()
        codec = _BY_ENCODING_NAME.get(encoding_name)
        if codec is not None:
            launch = f"{codec.rtp[encoding_name]} ! {codec.parser}"
            return Chain(
                codec=codec, launch=f"{_PACKETS} ! {launch}" if codec.kind == "video" else launch
            )
        raise _unknown(f"RTP {structure.get_string('media')} {encoding_name}")
    if media_type == "video/x-raw":
        raise BadSourceError(
            "the pipeline gives raw video, which is not recorded:"
            " end it with an encoder, for example ! x264enc tune=zerolatency",
            origin="source",
            code="raw-video",
        )
    _, mpeg_version = structure.get_int("mpegversion")
    for codec in CODECS:
        if codec.media_type == media_type and (
            not codec.mpeg_versions or mpeg_version in codec.mpeg_versions
        ):
            return Chain(codec=codec, launch=codec.parser)
    raise _unknown(media_type)


def _unknown(what: str) -> BadSourceError:
    names = ", ".join(codec.name for codec in CODECS)
    return BadSourceError(
        f"{what} can't be recorded; what can: {names}", origin="source", code="codec"
    )
