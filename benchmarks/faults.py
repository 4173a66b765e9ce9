"""Every fault of the lab, played on ten cameras: called what it is, and how long it cost."""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import peers, plot
from benchmarks.figures import Figure, Plot, Subject, Table, Tell, figure_in_ms
from benchmarks.growth import bytes_below, wait_for_growth
from stream_manager.clock import SystemClock
from stream_manager.lab.camera import Camera
from stream_manager.lab.campaign import Campaign
from stream_manager.lab.footage import make_clip
from stream_manager.lab.proxy import Proxy
from stream_manager.lab.trial_results import AGREE_WITHIN_S, Result
from stream_manager.lab.trials import TRIALS, Trial

CAMERAS = 10
AT_ONCE = 2
# The defaults, but for two waits that would make this last for hours.
RECOVERY = 'probe_every = "10s"\nstable_for = "10s"\n'

PEERS = (
    ("ffmpeg -c copy, restarted", peers.patient_ffmpeg),
    ("gst-launch-1.0, restarted", peers.gst_launch),
)
PEER_FAULTS = ("reboot", "drop", "refuse", "freeze", "cut")
PEER_FAULT_S = 3.0
PEER_WITHIN_S = 60.0
PEER_SETTLES_S = 3.0


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Play every trial three times, two at a time; then some of them on the peers' recordings."""
    rounds = 1 if quick else 3
    with TemporaryDirectory(prefix="stream-manager-bench-") as directory:
        folder = Path(directory)
        clip = make_clip(folder / "clip.mp4")
        results = asyncio.run(_play(folder, clip, rounds, tell))
        beside = _beside(folder, clip, 1 if quick else 3, tell)
    by_trial = {trial: [result for result in results if result.trial is trial] for trial in TRIALS}
    bars = [_bar(trial, played) for trial, played in by_trial.items() if trial.breaks]
    return Subject(
        title=f"Faults: all that the lab can do, with {CAMERAS} cameras running",
        figures=(*_figures(results), *beside),
        notes=(
            "720p25 with sound, each camera over a network of its own; one in five over UDP.",
            "Default policy, but for probe_every and stable_for, which are 10 s.",
            f"{AT_ONCE} faults at a time.",
            "Right: the true cause is told, it heals by itself, index and wire agree on the gap.",
            "After UDP loss pictures count from a keyframe on, which may be a second later.",
            "Peers: from a fault's end until their files grow; ffmpeg ends by itself after 10 s.",
        ),
        table=_table(by_trial),
        plot=Plot(
            name="faults.svg",
            shows="from the fault to its detection and to media again, by kind of fault",
            draw=lambda path: plot.draw(path, bars),
        ),
    )


async def _play(folder: Path, clip: Path, rounds: int, tell: Tell) -> list[Result]:
    campaign = Campaign(
        Path(sys.executable).parent / "stream-manager",
        folder,
        cameras=CAMERAS,
        clip=clip,
        recovery=RECOVERY,
        clock=SystemClock(),
    )
    results = []
    tell(f"faults: starting {CAMERAS} cameras")
    async with campaign:
        for number in range(rounds):
            async for result in campaign.play(TRIALS, at_once=AT_ONCE):
                results.append(result)
                done = f"round {number + 1} of {rounds}, {len(results)} faults"
                tell(f"faults: {done}, {result.trial.name}: {result.flaws() or 'right'}")
    return results


def _figures(results: Sequence[Result]) -> list[Figure]:
    wrong = sum(bool(result.flaws()) for result in results)
    detected = [it.detected_s for it in results if it.detected_s is not None and it.trial.breaks]
    apart = [it.apart_s for it in results if it.apart_s is not None]
    limit_ms = AGREE_WITHIN_S * 1000
    return [
        Figure(
            name="faults that were not right",
            unit="",
            samples=(float(wrong),),
            median_at_most=0,
            note="; ".join(f"{it.trial.name}: {flaw}" for it in results for flaw in it.flaws()),
        ),
        figure_in_ms("from a fault's beginning to its detection", detected),
        figure_in_ms(
            "beginning of the gap, off the record",
            [abs(begin_s) for begin_s, _ in apart],
            p99_at_most=limit_ms,
        ),
        figure_in_ms(
            "end of the gap, off the record",
            [abs(end_s) for _, end_s in apart],
            p99_at_most=limit_ms,
        ),
    ]


def _table(by_trial: dict[Trial, list[Result]]) -> Table:
    titles = ("fault", "lasts", "detected after", "outage", "cause", "gap off by", "right")
    rows = [_row(trial, played) for trial, played in by_trial.items()]
    right = frozenset({"lasts", "detected after", "outage", "gap off by", "right"})
    return Table(rows=(titles, *rows), right=right)


def _row(trial: Trial, played: Sequence[Result]) -> tuple[str, ...]:
    apart = [abs(side) for it in played if it.apart_s is not None for side in it.apart_s]
    good = sum(not it.flaws() for it in played)
    causes = sorted({it.cause for it in played})
    if not trial.breaks:
        return (trial.name, _s(trial.lasts_s), "-", "-", "-", "-", f"{good} of {len(played)}")
    return (
        trial.name,
        _s(trial.lasts_s) if trial.lasts_s else "at once",
        _range([it.detected_s for it in played if it.detected_s is not None]),
        _range([it.outage_s for it in played]),
        ", ".join(causes),
        f"{max(apart, default=0) * 1000:.0f} ms",
        f"{good} of {len(played)}",
    )


def _range(samples: Sequence[float]) -> str:
    if not samples:
        return "-"
    return f"{statistics.median(samples):.2f} s ({max(samples):.2f})"


def _s(seconds: float) -> str:
    return f"{seconds:g} s"


def _bar(trial: Trial, played: Sequence[Result]) -> plot.Bar:
    again = [
        (it.gaps[-1].ended_at - it.began_at).total_seconds()
        for it in played
        if it.gaps and it.gaps[-1].ended_at is not None
    ]
    detected = [it.detected_s for it in played if it.detected_s is not None]
    return plot.Bar(
        name=trial.name,
        lasts_s=trial.lasts_s,
        detected_s=statistics.median(detected or [0.0]),
        again_s=statistics.median(again or [0.0]),
    )


@dataclass(frozen=True, slots=True)
class _Peer:
    name: str
    directory: Path
    back_s: list[float]


def _beside(folder: Path, clip: Path, rounds: int, tell: Tell) -> list[Figure]:
    """Break what the peers record, each its own camera at the same time."""
    figures = []
    for fault in PEER_FAULTS:
        with ExitStack() as stack:
            played = []
            for name, command in PEERS:
                camera = stack.enter_context(Camera("cam", clip=clip))
                network = stack.enter_context(Proxy(to=f"127.0.0.1:{camera.port}"))
                directory = folder / f"{name.split()[0]}-{fault}"
                stack.enter_context(peers.Loop(command, network.url("cam"), directory))
                played.append((_Peer(name, directory, []), camera, network))
            for number in range(rounds):
                tell(f"faults: peers, {fault}, round {number + 1} of {rounds}")
                for peer, camera, network in played:
                    peer.back_s.append(_back_s(fault, peer.directory, camera, network))
        figures += [
            figure_in_ms(f"{peer.name}: back after {fault}", peer.back_s) for peer, _, _ in played
        ]
    return figures


def _back_s(fault: str, directory: Path, camera: Camera, network: Proxy) -> float:
    """Cause a fault; return how long after its end the peer's files grow again."""
    wait_for_growth(directory, beyond=bytes_below(directory), within_s=PEER_WITHIN_S)
    time.sleep(PEER_SETTLES_S)
    order: Callable[[str], None] = network.order if fault == "cut" else camera.order
    if fault == "reboot":
        order(f"reboot for={PEER_FAULT_S:g}s")
    else:
        order(fault)
    if fault != "drop":
        time.sleep(PEER_FAULT_S)
    order("heal")
    over_s = time.monotonic()
    left = bytes_below(directory)
    return wait_for_growth(directory, beyond=left, within_s=PEER_WITHIN_S) - over_s
