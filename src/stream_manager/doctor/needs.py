"""What the product uses, and the Debian or Ubuntu package that brings it: data, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Some elements or typelibs of one package; without `essential` ones nothing is recorded."""

    package: str
    names: tuple[str, ...]
    used_for: str
    essential: bool


OLDEST_GSTREAMER = (1, 20)

ELEMENTS = (
    Need(
        package="libgstreamer1.0-0",
        names=(
            *("tee", "queue", "capsfilter", "identity"),
            *("fakesink", "filesrc", "typefind", "fdsink"),
        ),
        used_for="every stream",
        essential=True,
    ),
    Need(
        package="gstreamer1.0-plugins-good",
        names=(
            *("rtspsrc", "rtpbin", "rtpjitterbuffer", "rtpsession"),
            *("rtpptdemux", "rtpssrcdemux", "udpsrc"),
            *("rtph264depay", "rtph265depay", "rtpjpegdepay"),
            *("rtpmp4gdepay", "rtpmp4adepay", "rtpopusdepay"),
            *("rtppcmudepay", "rtppcmadepay", "rtpL16depay"),
        ),
        used_for="RTSP cameras",
        essential=True,
    ),
    Need(
        package="gstreamer1.0-plugins-good",
        names=("aacparse", "matroskamux", "mp4mux"),
        used_for="recordings",
        essential=True,
    ),
    Need(
        package="gstreamer1.0-plugins-good",
        names=("qtdemux", "matroskademux"),
        used_for="file: sources",
        essential=False,
    ),
    Need(
        package="gstreamer1.0-plugins-bad",
        names=(
            *("h264parse", "h265parse", "jpegparse", "opusparse"),
            *("mpegtsmux", "proxysink", "proxysrc"),
        ),
        used_for="recordings",
        essential=True,
    ),
    Need(
        package="gstreamer1.0-plugins-bad",
        names=("tsdemux", "voaacenc"),
        used_for="file: and test: sources",
        essential=False,
    ),
    Need(
        package="gstreamer1.0-plugins-base",
        names=("audioconvert", "videotestsrc", "audiotestsrc", "appsrc", "appsink"),
        used_for="PCM sound, test: sources and the demo",
        essential=False,
    ),
    Need(
        package="gstreamer1.0-plugins-ugly",
        names=("x264enc",),
        used_for="test: sources and the demo",
        essential=False,
    ),
    Need(
        package="gstreamer1.0-libav",
        names=("avenc_aac",),
        used_for="the demo",
        essential=False,
    ),
)
TYPELIBS = (
    Need(
        package="gir1.2-gstreamer-1.0",
        names=("Gst",),
        used_for="every stream",
        essential=True,
    ),
    Need(
        package="gir1.2-gst-plugins-base-1.0",
        names=("GstRtsp",),
        used_for="every stream",
        essential=True,
    ),
    Need(
        package="gir1.2-gst-plugins-base-1.0",
        names=("GstApp",),
        used_for="the demo",
        essential=False,
    ),
    Need(
        package="gir1.2-gst-rtsp-server-1.0",
        names=("GstRtspServer",),
        used_for="the demo",
        essential=False,
    ),
)
# The modules of each extra that pyproject.toml names.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "media": ("gi", "msgspec", "setproctitle"),
    "config": ("pydantic",),
    "api": ("fastapi", "uvicorn"),
    "cli": ("typer", "rich", "httpx"),
    "all": ("structlog",),
}
