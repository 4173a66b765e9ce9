"""From a fault of a worker's process to its first new media on disk, by kind of fault."""

import signal
from dataclasses import dataclass
from functools import partial
from itertools import cycle

from benchmarks import cameras, process
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from benchmarks.growth import end, heal_s
from benchmarks.rig import Rig

STREAMS = 20
WITHIN_S = 20.0
SIGKILL_P99_MS = 500

# A fault never waits for the one before it: each is judged as a stream's first one is.
RECOVERY = """\
backoff = { base = "1ms", cap = "1ms" }
budget = { restarts = 1000, within = "60s" }
stable_for = "1s"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A fault, the signal that makes it, how the journal has to call it, and how often."""

    name: str
    number: signal.Signals
    code: str
    times: int
    loses_fork_server: bool = False
    p99_at_most_ms: float | None = None


KINDS = (
    Kind(
        name="SIGKILL",
        number=signal.SIGKILL,
        code="SIGKILL",
        times=100,
        p99_at_most_ms=SIGKILL_P99_MS,
    ),
    Kind(name="SIGSEGV", number=signal.SIGSEGV, code="SIGSEGV", times=25),
    Kind(name="SIGABRT", number=signal.SIGABRT, code="SIGABRT", times=25),
    Kind(name="exit code 0", number=signal.SIGTERM, code="exit:0", times=25),
    Kind(name="SIGSTOP", number=signal.SIGSTOP, code="hang", times=25),
    Kind(
        name="fork server and worker, SIGKILL",
        number=signal.SIGKILL,
        code="exit:unknown",
        times=20,
        loses_fork_server=True,
    ),
)


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Break the workers of 20 streams of RTSP in turn; or of 4, each kind twice, when quick."""
    count = 4 if quick else STREAMS
    faults = 0
    misnamed: list[str] = []
    figures: list[Figure] = []
    with cameras.crowd(count) as crowd:
        sources = {f"cam-{number:02}": url for number, url in enumerate(crowd.urls)}
        tell(f"crashes: starting {count} streams")
        with Rig(sources, recovery=RECOVERY) as rig:
            before = process.processor()
            turns = cycle(sources)
            for kind in KINDS:
                times = 2 if quick else kind.times
                healed: list[float] = []
                for _ in range(times):
                    took_s, code = _break(rig, next(turns), kind)
                    healed.append(took_s)
                    misnamed += [f"{kind.name}: {code}"] if code != kind.code else []
                    tell(f"crashes: {kind.name} {len(healed)} of {times}")
                faults += times
                figures.append(figure_in_ms(kind.name, healed, p99_at_most=kind.p99_at_most_ms))
            idle_percent = process.processor().idle_share_since(before) * 100
            rig.wait_healthy()
            restarts = sum(stream["restarts_total"] for stream in rig.streams().values())
    return Subject(
        title=f"Crashes: from a worker's fault to its first new media on disk, {count} streams",
        figures=(
            *figures,
            _none("faults that the journal calls something else", misnamed),
            _none("restarts without a fault of that stream", ["restart"] * (restarts - faults)),
        ),
        notes=(
            "RTSP 720p25 with sound, cameras that send a keyframe on PLAY.",
            "One fault at a time, of one stream after the other, which is healthy before it.",
            "The pace of restarts is set so that a fault never waits for the one before it.",
            "Exit code 0: SIGTERM, on which a worker ends its file and itself.",
            "Fork server: it is gone before the worker is, so a new one has to come up first.",
            f"{idle_percent:.0f} % of all cores were idle.",
        ),
    )


def _break(rig: Rig, stream: str, kind: Kind) -> tuple[float, str]:
    """Cause a fault; return how long it took to be recorded again, and what it was called."""
    rig.wait_until(f"{stream} is forgiven", partial(_is_calm, rig, stream), within_s=WITHIN_S)
    after, pid = rig.last_seq(), rig.worker_pid(stream)
    if kind.loses_fork_server:
        end(rig.fork_server_pid, by=signal.SIGKILL, within_s=WITHIN_S)
    took_s = heal_s(pid, rig.recordings(stream), by=kind.number, within_s=WITHIN_S)
    rig.wait_healthy(stream)
    fault = rig.wait_for_entry(
        stream, lambda it: it["cause"] is not None, after=after, within_s=WITHIN_S
    )
    return took_s, fault["code"]


def _is_calm(rig: Rig, stream: str) -> bool:
    now = rig.streams()[stream]
    return bool(now["health"] == "healthy" and now["attempt"] == 0)


def _none(name: str, found: list[str]) -> Figure:
    """Return how many there are of what there should be none of, and which."""
    return Figure(
        name=name,
        unit="",
        samples=(float(len(found)),),
        median_at_most=0,
        note="; ".join(sorted(set(found))),
    )
