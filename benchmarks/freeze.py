"""How soon a camera that freezes is noticed, and that one which stutters is left alone."""

import time

from benchmarks import cameras
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from benchmarks.rig import Json, Rig, wall_s
from stream_manager.lab.camera import Camera

STALL_MS = 1000
FREEZE_WITHIN_S = 20.0
STUTTER_MS = 300
STUTTER_LOOK_S = 20.0

# Every freeze is a first one: with the defaults the fifth in a minute would replace the worker.
RECOVERY = """\
backoff = { base = "50ms", cap = "50ms" }
budget = { restarts = 1000, within = "60s" }
stable_for = "1s"
"""


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Freeze 5 cameras in turn, 25 times in all; then watch 5 that stutter for 10 minutes."""
    count, rounds, watch_s = (2, 2, 30.0) if quick else (5, 5, 600.0)
    return Subject(
        title="Freeze: a camera that stops sending and keeps its connections open",
        figures=(
            *_detected(tell, count=count, rounds=rounds),
            _false_stalls(tell, count=count, watch_s=watch_s),
        ),
        notes=(
            "25 frames/s; the stall threshold is learned, as by default.",
            "Until the stall is decided upon.",
            "The pace of restarts is set so that a freeze never waits for the one before it.",
        ),
    )


def _detected(tell: Tell, *, count: int, rounds: int) -> list[Figure]:
    from_stop: list[float] = []
    from_picture: list[float] = []
    with cameras.singles(count, picture=cameras.SMALL) as crowd:
        streams = {f"freeze-{number}": camera for number, camera in enumerate(crowd)}
        sources = {stream: camera.url("cam") for stream, camera in streams.items()}
        with Rig(sources, recovery=RECOVERY) as rig:
            for _ in range(rounds):
                for stream, camera in streams.items():
                    rig.wait_healthy(stream)
                    stop_s, stall = _freeze(rig, stream, camera)
                    last_at = rig.streams()[stream]["media"]["last_at"]
                    camera.thaw()
                    from_stop.append(wall_s(stall["at"]) - stop_s)
                    from_picture.append(wall_s(stall["at"]) - wall_s(last_at))
                    rig.wait_healthy(stream)
                    tell(f"freeze: {len(from_stop)} of {rounds * count}")
    return [
        figure_in_ms("SIGSTOP of the camera until the stall", from_stop, p99_at_most=STALL_MS),
        figure_in_ms("last picture received until the stall", from_picture),
    ]


def _freeze(rig: Rig, stream: str, camera: Camera) -> tuple[float, Json]:
    """Freeze the camera; return when, as seconds since 1970, and the journal's entry about it."""
    after = rig.last_seq()
    camera.freeze()
    stop_s = time.time()
    stall = rig.wait_for_entry(stream, _is_stall, after=after, within_s=FREEZE_WITHIN_S)
    return stop_s, stall


def _is_stall(entry: Json) -> bool:
    return bool(entry["code"] == "stall")


def _false_stalls(tell: Tell, *, count: int, watch_s: float) -> Figure:
    with cameras.crowd(count, f"stutter gap={STUTTER_MS}ms") as crowd:
        sources = {f"stutter-{number}": url for number, url in enumerate(crowd.urls)}
        with Rig(sources) as rig:
            after = rig.last_seq()
            until_s = time.monotonic() + watch_s
            stalls = 0
            while (left_s := until_s - time.monotonic()) > 0:
                entries = rig.journal(after=after, wait_s=min(left_s, STUTTER_LOOK_S))
                after = max([after, *(entry["seq"] for entry in entries)])
                stalls += sum(map(_is_stall, entries))
                tell(f"freeze: {stalls} false stalls, {max(left_s, 0):.0f} s to go")
    name = f"false stalls, {count} cameras that stutter by up to {STUTTER_MS} ms, {watch_s:g} s"
    return Figure(name=name, unit="", samples=(float(stalls),), median_at_most=0)
