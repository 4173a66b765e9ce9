"""How the demo ends: with every stream healthy, or with a flaw that names it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stream_manager.lab.demo import STREAMS, UP_WITHIN_S, until_healthy
from stream_manager.lab.demo_results import Verdict
from stream_manager.testing import FakeClock

if TYPE_CHECKING:
    from stream_manager.lab.demo_scene import Scene

FIRST, *OTHERS = STREAMS


class Looks:
    """A scene of which one stream is ailing until an instant."""

    def __init__(self, clock: FakeClock, heals_at_s: float) -> None:
        self._clock = clock
        self._heals_at_s = heals_at_s

    async def look(self) -> dict[str, Any]:
        """Return the streams as they are now."""
        ailing = self._clock.now_s < self._heals_at_s
        return {id_: {"health": "healthy"} for id_ in OTHERS} | {
            FIRST: {"health": "failed" if ailing else "healthy"}
        }


def waited(heals_after_s: float) -> tuple[dict[str, str], float]:
    """Return who is ailing at the end of the wait, and how long it was."""

    async def wait() -> tuple[dict[str, str], float]:
        clock = FakeClock(0.0)
        scene = cast("Scene", Looks(clock, heals_after_s))
        waiting = asyncio.create_task(until_healthy(scene, clock))
        while not waiting.done():
            await clock.advance(1.0)
        return waiting.result(), clock.now_s

    return asyncio.run(wait())


def test_the_end_waits_for_a_stream_that_still_heals() -> None:
    """It is no flaw, and nobody waits longer than it takes."""
    assert waited(0.0) == ({}, 1.0)
    ailing, took_s = waited(12.0)
    assert ailing == {}
    assert 12.0 <= took_s < UP_WITHIN_S


def test_a_stream_that_is_dead_in_the_end_is_a_flaw() -> None:
    """The wait has an end, and the verdict names the stream, although each fault was healed."""
    ailing, took_s = waited(1e9)
    assert ailing == {FIRST: "failed"}
    assert UP_WITHIN_S <= took_s <= UP_WITHIN_S + 2
    verdict = Verdict(folder=Path("demo"), outcomes=(), recordings=(), ailing=ailing)
    assert verdict.flaws == (f"{FIRST}: failed in the end",)
    assert verdict.to_json()["healed"] is False
