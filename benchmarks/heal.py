"""From a worker's SIGKILL to bytes on disk again, beside what one would otherwise run."""

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import cameras, peers, process
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from benchmarks.growth import bytes_below, heal_s, wait_for_growth
from benchmarks.rig import Rig, wall_s

PEERS = (
    ("ffmpeg -c copy, restarted", peers.ffmpeg),
    ("gst-launch-1.0, restarted", peers.gst_launch),
)
WITHIN_S = 20.0
# A second crash within 60 s backs off by design; the first one counts again once the stream was
# stable for 60 s and its attempts are forgiven.
CALM_AFTER_S = 61.0
PEER_SETTLES_S = 2.0

TEST_MEDIAN_MS, RTSP_MEDIAN_MS, P99_MS = 150, 400, 800


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Kill every worker of 20 streams, one after another; twice, or 4 streams once when quick."""
    count, rounds, peer_kills = (4, 1, 3) if quick else (20, 2, 10)
    generated = {f"test-{number:02}": "test:" for number in range(count)}
    tell(f"heal: starting {count} streams of test:")
    with Rig(generated) as rig:
        figures = _kills(rig, "generated", generated, tell, rounds=rounds, median_ms=TEST_MEDIAN_MS)
    with cameras.crowd(count + len(PEERS)) as crowd:
        received = {f"rtsp-{number:02}": url for number, url in enumerate(crowd.urls[:count])}
        tell(f"heal: starting {count} streams of RTSP")
        with Rig(received) as rig:
            figures += _kills(rig, "RTSP", received, tell, rounds=rounds, median_ms=RTSP_MEDIAN_MS)
            figures += [
                _peer(name, command, url, tell, kills=peer_kills)
                for (name, command), url in zip(PEERS, crowd.urls[count:], strict=True)
            ]
    return Subject(
        title=f"Heal: SIGKILL of a worker until its bytes on disk grow again, {count} streams",
        figures=tuple(figures),
        notes=(
            "Default policy. Each kill is a stream's first one in 60 s: later ones back off.",
            "Generated: `test:`. RTSP: 720p25 with sound, cameras that send a keyframe on PLAY.",
            "Peers record one more such stream each while ours run, and are started again at once.",
        ),
    )


def _kills(
    rig: Rig, kind: str, streams: Iterable[str], tell: Tell, *, rounds: int, median_ms: float
) -> list[Figure]:
    """Kill each stream's worker `rounds` times; return how long it took, in whole and in steps."""
    healed: list[float] = []
    steps: dict[str, list[float]] = {"decided": [], "worker up": [], "source up": []}
    killed_s: dict[str, float] = {}
    before = process.processor()
    for number in range(rounds):
        for stream in streams:
            _wait_for_calm(rig, stream, killed_s.get(stream))
            after, at_s = rig.last_seq(), time.time()
            pid, directory = rig.worker_pid(stream), rig.recordings(stream)
            healed.append(heal_s(pid, directory, within_s=WITHIN_S))
            killed_s[stream] = time.monotonic()
            rig.wait_healthy(stream)
            _split(rig, stream, after, at_s, steps)
            tell(f"heal: {kind} round {number + 1} of {rounds}, {len(healed)} kills")
    idle_percent = process.processor().idle_share_since(before) * 100
    return [
        figure_in_ms(
            kind,
            healed,
            median_at_most=median_ms,
            p99_at_most=P99_MS,
            note=f"{idle_percent:.0f} % of all cores were idle",
        ),
        *(figure_in_ms(f"{kind}, of that: {step}", times) for step, times in steps.items()),
    ]


def _wait_for_calm(rig: Rig, stream: str, killed_s: float | None) -> None:
    if killed_s is None:
        return

    def calm() -> bool:
        long_ago = time.monotonic() - killed_s >= CALM_AFTER_S
        return long_ago and rig.streams()[stream]["attempt"] == 0

    rig.wait_until(f"{stream} is forgiven", calm, within_s=2 * CALM_AFTER_S)


def _split(
    rig: Rig, stream: str, after: int, at_s: float, steps: Mapping[str, list[float]]
) -> None:
    """Take from the journal when, after the kill, each step was reached."""
    entries = rig.journal(stream, after=after)
    for step, component, event in (
        ("decided", stream, "failed"),
        ("worker up", stream, "started"),
        ("source up", f"{stream}/source", "started"),
    ):
        found = (it for it in entries if (it["component"], it["event"]) == (component, event))
        steps[step].append(wall_s(next(found)["at"]) - at_s)


def _peer(name: str, command: peers.Command, url: str, tell: Tell, *, kills: int) -> Figure:
    healed: list[float] = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="stream-manager-bench-"))
        directory = Path(folder) / "peer"
        loop = stack.enter_context(peers.Loop(command, url, directory))
        for number in range(kills):
            wait_for_growth(directory, beyond=bytes_below(directory), within_s=WITHIN_S)
            time.sleep(PEER_SETTLES_S)
            healed.append(heal_s(loop.pid, directory, within_s=WITHIN_S))
            tell(f"heal: {name} {number + 1} of {kills}")
    return figure_in_ms(name, healed)
