"""How soon the next manager has adopted every worker of one that was killed."""

import time

from benchmarks import cameras
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from benchmarks.rig import Rig, wall_s

STREAMS = 40
ADOPTED_WITHIN_MS = 1000
WITHIN_S = 20.0


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Kill the manager of 40 streams ten times, and start the next one each time."""
    count, rounds = (8, 3) if quick else (STREAMS, 10)
    until_all: list[float] = []
    first_to_last: list[float] = []
    until_proved: list[float] = []
    replaced = 0
    with cameras.crowd(count) as crowd:
        tell(f"adopt: starting {count} streams")
        sources = {f"cam-{number:02}": url for number, url in enumerate(crowd.urls)}
        with Rig(sources) as rig:
            before = {stream: it["pid"] for stream, it in rig.streams().items()}
            for number in range(rounds):
                after = rig.last_seq()
                rig.kill()
                began_s = rig.restart()
                adopted = _instants(rig, "adopted", count, after)
                proved = _instants(rig, "proved", count, after)
                until_all.append(adopted[-1] - began_s)
                first_to_last.append(adopted[-1] - adopted[0])
                until_proved.append(proved[-1] - began_s)
                tell(f"adopt: {number + 1} of {rounds}")
            now = rig.streams()
            replaced = sum(now[stream]["pid"] != pid for stream, pid in before.items())
    return Subject(
        title=f"Adoption: SIGKILL of the manager of {count} streams, and the start of the next",
        figures=(
            figure_in_ms(
                "command started until all are adopted", until_all, p99_at_most=ADOPTED_WITHIN_MS
            ),
            figure_in_ms("first adopted until last adopted", first_to_last),
            figure_in_ms("command started until all are verified by media", until_proved),
            Figure(
                name="workers that had to be replaced",
                unit="",
                samples=(float(replaced),),
                median_at_most=0,
            ),
        ),
        notes=(
            "Adopted: the journal's entry about the worker. Recording goes on all the while.",
            "The command's own start, Python and its imports, is in the first figure.",
        ),
    )


def _instants(rig: Rig, rule: str, count: int, after: int) -> list[float]:
    """Return when a rule first decided upon each of `count` workers, as seconds since 1970."""
    seen: dict[str, float] = {}
    deadline_s = time.monotonic() + WITHIN_S
    while len(seen) < count:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{count - len(seen)} of {count} were not {rule}")
        for entry in rig.journal(after=after, wait_s=1.0):
            after = entry["seq"]
            if entry["rule"] == rule and entry["component"] == entry["stream"]:
                seen.setdefault(entry["stream"], wall_s(entry["at"]))
    return sorted(seen.values())
