"""Every fault that a simulated camera can have, as it is ordered: the table behind the grammar."""

import re
from collections.abc import Mapping

from stream_manager.config.durations import duration_s
from stream_manager.errors import UsageError
from stream_manager.lab.camera_plan import Plan
from stream_manager.lab.faults import FaultKind, Lasts, Option, Order, one_of, yes_or_no
from stream_manager.lab.picture import Picture

KICKED = "Running sessions are ended, so that everybody meets it."
REQUESTS = ("describe", "setup", "play")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    if found is None:
        raise ValueError("expected WIDTHxHEIGHT, like 1280x720")
    width, height = int(found[1]), int(found[2])
    try:
        Picture(width=width, height=height)
    except UsageError as error:
        raise ValueError(error) from error
    return width, height


def _leap_s(text: str) -> float:
    forward = duration_s(text.removeprefix("-"))
    if not 0 < forward <= 3600:
        raise ValueError("expected up to 1h forward, or back as in -10s, and not zero")
    return -forward if text.startswith("-") else forward


def _gap_s(text: str) -> float:
    if not 0.001 <= (gap_s := duration_s(text)) <= 60:
        raise ValueError("expected 1ms to 1min")
    return gap_s


def _status(code: int, reason: str) -> FaultKind:
    at = Option(
        name="on",
        means="the request that is refused, and with it those after it: describe, setup or play",
        read=one_of(*REQUESTS),
        default="describe",
    )
    return FaultKind(
        name=f"error-{code}", does=f"Requests are answered {code} {reason}. {KICKED}", options=(at,)
    )


PROCESS = (
    FaultKind(
        name="die",
        does="The process is killed (SIGKILL); when it ends, a new one listens on the same port.",
    ),
    FaultKind(
        name="reboot",
        does="As die, and it comes back by itself.",
        lasts=Lasts.TIMED,
    ),
    FaultKind(
        name="freeze",
        does="The process is stopped (SIGSTOP): connections stay open and nothing moves on them.",
    ),
)

WIRE = (
    FaultKind(
        name="drop",
        does="Every viewer's connection is closed; new ones are accepted.",
        options=(
            Option(
                name="rst",
                means="yes resets the connections (RST) instead of ending them (FIN)",
                read=yes_or_no,
                default="no",
            ),
        ),
        lasts=Lasts.ONCE,
    ),
    FaultKind(
        name="refuse",
        does="The listening socket is closed (connection refused) and so is every connection.",
    ),
    FaultKind(
        name="password",
        does=f"The password is another, which nobody knows: 401 and a challenge. {KICKED}",
    ),
    _status(404, "Not Found"),
    _status(453, "Not Enough Bandwidth"),
    _status(503, "Service Unavailable"),
    FaultKind(
        name="single-session",
        does="One viewer at a time; others get 453 on SETUP. The one who came first stays.",
        options=(
            Option(
                name="hold",
                means="how long a session counts as there when its connection ended without"
                " TEARDOWN",
                read=duration_s,
                default="10s",
            ),
        ),
    ),
    FaultKind(
        name="stutter",
        does="Pictures and sound are held back now and then, and leave in bursts, stamped right.",
        options=(
            Option(
                name="gap", means="the longest time between pictures", read=_gap_s, default="300ms"
            ),
        ),
    ),
    FaultKind(name="lose-video", does="No more pictures; sound goes on, and so do sessions."),
    FaultKind(name="lose-audio", does="No more sound; pictures go on, and so do sessions."),
    FaultKind(
        name="no-keyframe",
        does="Keyframes are withheld: only pictures that build on others leave, also for viewers"
        " who come meanwhile.",
    ),
    FaultKind(
        name="garbage",
        does="The payload of every RTP packet is random; headers, order and pace are right.",
    ),
    FaultKind(
        name="jump",
        does="RTP timestamps leap, once, for those who play; sequence numbers and pace go on.",
        options=(
            Option(name="by", means="how far: 10s, or back: -10s", read=_leap_s, default="10s"),
        ),
        lasts=Lasts.ONCE,
    ),
    FaultKind(
        name="resolution",
        does="The generated picture in another size is sent.",
        options=(
            Option(name="size", means="WIDTHxHEIGHT, like 1280x720", read=_size),
            Option(
                name="how",
                means="in-band: new parameter sets in the running sessions; session: these are"
                " ended, and the SDP is new",
                read=one_of("in-band", "session"),
                default="in-band",
            ),
        ),
    ),
    FaultKind(
        name="codec",
        does="The generated picture in another codec is sent. Running sessions are ended, and the"
        " SDP is new.",
        options=(
            Option(name="name", means="h264, h265 or mjpeg", read=one_of("h264", "h265", "mjpeg")),
        ),
    ),
)

CAMERA_FAULTS = (*PROCESS, *WIRE)
ENCODED = ("resolution", "codec")  # those that need a clip which is encoded first


def refuse_impossible(order: Order, plan: Plan, tracks: Mapping[str, str]) -> None:
    """Raise UsageError for a fault that a camera can't have.

    tracks: the codec of each track that it sends, by its kind; empty while that is not known.
    """
    if order.name == "lose-audio" and tracks and "audio" not in tracks:
        raise UsageError("lose-audio: this camera sends no sound")
    if order.name == "no-keyframe" and tracks.get("video") == "mjpeg":
        raise UsageError("no-keyframe: every picture of MJPEG is a keyframe")
    if order.name == "no-keyframe" and plan.clip is None and plan.picture.gop == 1:
        raise UsageError("no-keyframe: with gop=1 every picture is a keyframe, take a longer one")
