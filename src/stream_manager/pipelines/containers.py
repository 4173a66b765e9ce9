"""Which container takes which codec, and what a track must look like to enter it."""

from collections.abc import Sequence
from typing import Final, Literal

from stream_manager.errors import UsageError
from stream_manager.pipelines.spec import Container

Muxed = Literal["ts", "mkv", "mp4"]

_TS_AND_MP4: Final = frozenset({"H264", "H265", "AAC", "OPUS"})
FITS: Final[dict[Muxed, frozenset[str]]] = {
    "ts": _TS_AND_MP4,
    "mkv": _TS_AND_MP4 | {"JPEG", "PCMU", "PCMA", "PCM"},
    "mp4": _TS_AND_MP4,
}

# Data must leave a muxer at every frame (mp4: every half second), for a file that is cut off by
# a kill is worth what had reached it.
MUXERS: Final[dict[Muxed, str]] = {
    "ts": "mpegtsmux",
    "mkv": "matroskamux offset-to-zero=true min-cluster-duration=500000000",
    "mp4": "mp4mux fragment-duration=500",
}

AS_IT_IS: Final = "identity silent=true"

# Parameter sets are repeated before every keyframe, so that each file plays alone.
_PARSERS: Final = {
    "H264": "h264parse config-interval=-1",
    "H265": "h265parse config-interval=-1",
    "AAC": "aacparse",
    "OPUS": "opusparse",
}
_FORMS: Final[dict[tuple[str, Muxed], str]] = {
    ("H264", "ts"): "video/x-h264,stream-format=byte-stream,alignment=au",
    ("H264", "mkv"): "video/x-h264,stream-format=avc,alignment=au",
    ("H264", "mp4"): "video/x-h264,stream-format=avc,alignment=au",
    ("H265", "ts"): "video/x-h265,stream-format=byte-stream,alignment=au",
    ("H265", "mkv"): "video/x-h265,stream-format=hvc1,alignment=au",
    ("H265", "mp4"): "video/x-h265,stream-format=hvc1,alignment=au",
    ("AAC", "ts"): "audio/mpeg,stream-format=adts",
    ("AAC", "mkv"): "audio/mpeg,stream-format=raw",
    ("AAC", "mp4"): "audio/mpeg,stream-format=raw",
}


class ContainerError(UsageError):
    """A codec does not fit the container that was asked for; nothing was written."""


def choose(wanted: Container, codecs: Sequence[str]) -> Muxed:
    """Return the container for tracks of these codecs: `auto` is ts where all fit, else mkv.

    Raises ContainerError, which names codec, container and the mend.
    """
    if wanted == "auto":
        wanted = "ts" if FITS["ts"].issuperset(codecs) else "mkv"
    for codec in codecs:
        if codec not in FITS[wanted]:
            raise ContainerError(
                f"{codec} does not fit container {wanted!r} without re-encoding: "
                + (
                    'set container = "auto" or "mkv"'
                    if codec in FITS["mkv"]
                    else "no container takes it"
                )
            )
    return wanted


def caps(codec: str, container: Muxed) -> str | None:
    """Return the caps of the form in which the container takes the codec; None: any will do."""
    return _FORMS.get((codec, container))


def form(codec: str, container: Muxed) -> str:
    """Return the launch description that brings a parsed track into the container's form.

    It ends in an element whose source pad can be linked to the muxer; nothing is re-encoded.
    """
    parser = _PARSERS.get(codec, AS_IT_IS)
    wanted = caps(codec, container)
    return f"{parser} ! capsfilter caps={wanted}" if wanted else parser


def pad_template(container: Muxed, kind: str) -> str:
    """Return the name of the muxer's request pad for a track of this kind."""
    return "sink_%d" if container == "ts" else f"{kind}_%u"
