"""Every fault of the lab as a trial: what is ordered, and what the manager must make of it.

A trial is played on a camera that a real manager records over a network of the lab (`campaign`).
"""

from dataclasses import dataclass
from typing import Literal

Place = Literal["camera", "network", "worker"]
Transport = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault of the lab.

    at: where it is made, and seen. orders: what is ordered there, in order; one that begins with
    another place's name and a colon goes to that place.
    causes: what the manager may truly call the gap; none: there is nothing to detect, for no
    picture is missing. told: what the journal has to tell of besides.
    lasts_s: how long it is let be before all is healed; 0: it is done at once.
    begins_unseen: the wire does not show when pictures stopped to be of use: with the fault itself.
    passes_s: for how long what is sent may still be taken for pictures, and recorded as such.
    """

    name: str
    at: Place
    orders: tuple[str, ...]
    causes: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    lasts_s: float = 0.0
    transport: Transport = "tcp"
    begins_unseen: bool = False
    passes_s: float = 0.0

    @property
    def breaks(self) -> bool:
        """Whether pictures are missing because of it."""
        return bool(self.causes)


def _trial(
    name: str,
    at: Place,
    *orders: str,
    causes: str = "",
    told: str = "",
    lasts_s: float = 0.0,
    transport: Transport = "tcp",
    begins_unseen: bool = False,
    passes_s: float = 0.0,
) -> Trial:
    return Trial(
        name=name,
        at=at,
        orders=orders,
        causes=frozenset(causes.split()),
        told=frozenset(told.split()),
        lasts_s=lasts_s,
        transport=transport,
        begins_unseen=begins_unseen,
        passes_s=passes_s,
    )


# fmt: off
# ruff: noqa: E501 - a table is read by its columns
TRIALS = (
    # The process that records.
    _trial("worker killed", "worker", "SIGKILL", causes="crash"),
    _trial("worker stopped", "worker", "SIGSTOP", causes="hang", begins_unseen=True),

    # The camera's process.
    _trial("die", "camera", "die", causes="network", lasts_s=3.0),
    _trial("reboot", "camera", "reboot for=3s", causes="network", lasts_s=3.0),
    _trial("freeze", "camera", "freeze", causes="stall", lasts_s=3.0),

    # What it does with connections and requests.
    _trial("drop", "camera", "drop", causes="network"),
    _trial("drop by reset", "camera", "drop rst=yes", causes="network"),
    _trial("refuse", "camera", "refuse", causes="network", lasts_s=3.0),
    _trial("password", "camera", "password", causes="auth", lasts_s=3.0),
    _trial("404", "camera", "error-404", causes="not-found", lasts_s=3.0),
    _trial("404 on SETUP", "camera", "error-404 on=setup", causes="not-found", lasts_s=3.0),
    _trial("453", "camera", "error-453", causes="device", lasts_s=3.0),
    _trial("503", "camera", "error-503", causes="device", lasts_s=3.0),
    _trial("503 on PLAY", "camera", "error-503 on=play", causes="device", lasts_s=3.0),
    _trial("stale session", "camera", "single-session hold=4s", "worker: SIGKILL", causes="crash", told="device", lasts_s=5.0),

    # What it sends.
    _trial("video lost", "camera", "lose-video", causes="stall", lasts_s=3.0),
    _trial("audio lost", "camera", "lose-audio", causes="media", lasts_s=14.0),
    _trial("garbage", "camera", "garbage", causes="media", lasts_s=3.0, passes_s=1.0),
    _trial("timestamps leap ahead", "camera", "jump by=10s", lasts_s=2.0),
    _trial("timestamps leap back", "camera", "jump by=-10s", lasts_s=2.0),
    _trial("no keyframe", "camera", "no-keyframe", lasts_s=4.0),
    _trial("no keyframe at a start", "camera", "no-keyframe", "drop", causes="media", lasts_s=14.0),
    _trial("another resolution", "camera", "resolution size=640x360", lasts_s=4.0),
    _trial("another resolution, new session", "camera", "resolution size=640x360 how=session", causes="network", lasts_s=4.0),
    _trial("another codec", "camera", "codec name=h265", causes="network", lasts_s=4.0),

    # The network between.
    _trial("cut", "network", "cut", causes="stall network", lasts_s=4.0),
    _trial("rate too low", "network", "rate limit=2kbit/s", causes="stall network hang", lasts_s=5.0, begins_unseen=True),
    _trial("half-open", "network", "half-open", causes="network", lasts_s=4.0),
    _trial("slow close", "camera", "network: slow-close by=3s", "drop", causes="stall network", lasts_s=4.0),
    _trial("UDP loss of 10 %", "network", "loss share=10%", lasts_s=4.0, transport="udp"),
    _trial("UDP loss of all", "network", "loss share=100%", causes="stall network", lasts_s=4.0, transport="udp"),

    # What teaches a stream to be patient comes last: a stall is found later afterwards.
    _trial("stutter", "camera", "stutter gap=300ms", lasts_s=4.0),
    _trial("latency", "network", "latency by=300ms", lasts_s=4.0),
    _trial("jitter", "network", "jitter up-to=200ms", lasts_s=4.0),
)
# fmt: on
