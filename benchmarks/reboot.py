"""A camera that was away: how much later than planned it is recorded again."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import cameras
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from benchmarks.growth import bytes_below, wait_for_growth
from benchmarks.rig import Rig, wall_s
from stream_manager.lab.camera import Camera

CAMERAS = 5
DOWN_S = (1.0, 5.0, 20.0, 60.0)
LATE_MS = 1000
STAGGER_S = 0.7
BACK_WITHIN_S = 60.0  # the longest backoff is 30 s

# Each reboot meets a fresh schedule.
RECOVERY = 'stable_for = "5s"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One camera's return: seconds from it to bytes on disk, and those of them that were planned.

    vain: attempts that failed though the camera was back.
    """

    recorded_s: float
    pending_s: float
    vain: int


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Let 5 cameras reboot, overlapping, for each length."""
    figures: list[Figure] = []
    with cameras.singles(CAMERAS, picture=cameras.SMALL) as crowd:
        streams = {f"reboot-{number}": camera for number, camera in enumerate(crowd)}
        sources = {stream: camera.url("cam") for stream, camera in streams.items()}
        with Rig(sources, recovery=RECOVERY) as rig:
            for down_s in DOWN_S[:2] if quick else DOWN_S:
                tell(f"reboot: {CAMERAS} cameras are away for {down_s:g} s")
                figures += _figures(down_s, _round(rig, streams, down_s))
    return Subject(
        title="Reboot: from a camera's return to bytes on disk, less the delay that was pending",
        figures=tuple(figures),
        notes=(
            "Default backoff: 500 ms, doubling, at most 30 s, equal jitter.",
            "The delay that was pending: from the return to when the attempt that worked was due.",
        ),
    )


def _round(rig: Rig, streams: dict[str, Camera], down_s: float) -> list[Return]:
    def forgiven() -> bool:
        return all(it["attempt"] == 0 for it in rig.streams().values())

    rig.wait_healthy()
    rig.wait_until("all attempts forgiven", forgiven, within_s=60.0)
    with ThreadPoolExecutor(len(streams)) as pool:
        returns = []
        for stream, camera in streams.items():
            after = rig.last_seq()
            camera.reboot(down_s)
            returns.append(pool.submit(_return, rig, stream, camera, down_s, after))
            time.sleep(STAGGER_S)
        return [it.result() for it in returns]


def _return(rig: Rig, stream: str, camera: Camera, down_s: float, after: int) -> Return:
    camera.wait_until_ready(down_s + BACK_WITHIN_S)
    back_s, back_wall_s = time.monotonic(), time.time()
    directory = rig.recordings(stream)
    grown_s = wait_for_growth(directory, beyond=bytes_below(directory), within_s=BACK_WITHIN_S)
    entries = [it for it in rig.journal(stream, after=after) if it["next_attempt_at"] is not None]
    due_s = max(wall_s(it["next_attempt_at"]) for it in entries)
    return Return(
        recorded_s=grown_s - back_s,
        pending_s=max(due_s - back_wall_s, 0.0),
        vain=sum(it["event"] == "failed" and wall_s(it["at"]) > back_wall_s for it in entries),
    )


def _figures(down_s: float, returns: list[Return]) -> list[Figure]:
    late_s = [it.recorded_s - it.pending_s for it in returns]
    vain = sum(it.vain for it in returns)
    away = f"away for {down_s:g} s"
    note = f"{vain} attempts failed after the return" if vain else ""
    return [
        figure_in_ms(f"{away}: return to recorded", [it.recorded_s for it in returns]),
        figure_in_ms(f"{away}: less the delay", late_s, p99_at_most=LATE_MS, note=note),
    ]
