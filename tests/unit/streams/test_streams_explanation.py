"""What `explain` says of a whole stream: how it is, why, what was tried, and what one can do."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.streams.simulated import AUDIO, POLICY, VIDEO, Simulation, simulated

from stream_manager.api.models import Explanation
from stream_manager.clock import local_time, wall_of
from stream_manager.recovery import Gone, Phase, Reset
from stream_manager.streams.entries import entry
from stream_manager.streams.explanation import explanation
from stream_manager.testing import settle


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand where local time is UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def explained(it: Simulation, *, stopped: bool = False) -> dict[str, Any]:
    """Explain the stream by all that was decided, and hold the answer against its model."""

    def local(instant_s: float) -> str:
        return local_time(wall_of(instant_s, it.clock), it.clock.wall())

    entries = [entry(one, clock=it.clock, local=local) for one in it.decisions]
    answer = explanation(
        it.stream, entries, clock=it.clock, stopped_by_operator=stopped, local=local
    )
    assert Explanation.model_validate(answer).model_dump() == answer
    return answer


def gone(it: Simulation, part: str = "source") -> Gone:
    """Make the fact that a part is torn down."""
    return Gone(id=f"cam/{part}", epoch=it.record(part).epoch)


def sentences(it: Simulation) -> list[str]:
    """Return what a person reads."""
    told: list[str] = explained(it)["sentences"]
    return told


def test_what_is_well_is_told_in_two_sentences(tmp_path: Path) -> None:
    """Nothing is said of parts that run, nor of what one could do."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        assert sentences(it) == ["cam is running and healthy.", "cam/source is running: healthy."]

    simulated(tmp_path, script)


def test_a_camera_that_is_down_is_told_with_all_that_was_tried(tmp_path: Path) -> None:
    """Since when, why, each attempt, the next one's time, and the command that need not wait."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.part_fails("connect", "ECONNREFUSED")
        it.stream.post(gone(it))
        await settle()
        assert len(explained(it)["tried"]) == 1
        assert not any("What happened" in line for line in sentences(it))
        await it.clock.advance(1.0)
        await it.part_fails("connect", "ECONNREFUSED")
        it.stream.post(gone(it))
        await settle()
        answer = explained(it)
        lines = answer["sentences"]
        assert lines[0].startswith("cam is backing off and unhealthy: out since ")
        assert lines[0].endswith("for 1 s; the cause: network.")
        assert lines[1].startswith("cam/source is backing off: attempt 2 at ")
        assert lines[1].endswith(", in 2 s.")
        tries = [line for line in lines if line.startswith("  ")]
        assert [line.partition("cam/source: ")[2].partition(", at")[0] for line in tries] == [
            "the camera refused the connection (ECONNREFUSED) — attempt 1 in 1.0 s",
            "the camera refused the connection (ECONNREFUSED) — attempt 2 in 2.0 s",
        ]
        assert lines[-2].startswith("What you can do: look whether the port is right")
        assert lines[-1] == "Not to wait for the next attempt: stream-manager reset cam"
        assert [one["delay_s"] for one in answer["tried"]] == [1.0, 2.0]
        assert answer["components"][0]["id"] == "cam/source"
        assert answer["components"][0]["attempts"] == 2
        assert (answer["state"], answer["health"]) == ("backing_off", "unhealthy")

    simulated(tmp_path, script)


def test_what_was_tried_before_a_reset_is_history(tmp_path: Path) -> None:
    """Only what came after the component last began anew is told."""

    async def script(it: Simulation) -> None:
        await it.start()
        for _ in range(3):
            await it.part_fails("connect", "ECONNREFUSED")
            it.stream.post(gone(it))
            await settle()
            await it.clock.advance(it.record("source").delay_s)
        assert len(explained(it)["tried"]) == 3
        it.stream.post(Reset(id="cam"))
        await settle()
        assert explained(it)["tried"] == []

    simulated(tmp_path, script)


def test_of_many_attempts_the_newest_are_told(tmp_path: Path) -> None:
    """A night of attempts fits on a screen; JSON has them all."""

    async def script(it: Simulation) -> None:
        await it.start()
        for _ in range(11):
            await it.part_fails("connect", "ECONNREFUSED")
            it.stream.post(gone(it))
            await settle()
            await it.clock.advance(it.record("source").delay_s)
        answer = explained(it)
        assert len(answer["tried"]) == 11
        (header,) = [it for it in answer["sentences"] if it.startswith("What happened")]
        assert header.endswith("the newest 8 of 11:")
        assert sum(line.startswith("  ") for line in answer["sentences"]) == 8

    simulated(tmp_path, script)


def test_failed_is_told_with_what_ends_it(tmp_path: Path) -> None:
    """After a wrong password a person has to act, and is told how to go on."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.part_fails("rtspsrc", "gst-resource-error:15")
        it.stream.post(gone(it))
        await settle()
        lines = sentences(it)
        assert lines[0].startswith("cam is failed: out since ")
        assert lines[-4].startswith("What you can do: put user and password right")
        # A reset alone would present the refused password again: so many accounts are locked.
        assert lines[-3].endswith("tries at once: stream-manager reload")
        assert lines[-2].endswith("restart the manager.")
        assert lines[-1].startswith("With the same settings once more")
        assert lines[-1].endswith(": stream-manager reset cam")

    simulated(tmp_path, script)


def test_a_recording_that_fails_is_the_reason_and_not_the_camera(tmp_path: Path) -> None:
    """The stream runs, and what it lacks comes first."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.part_fails("record", "ENOTDIR", part="record")
        it.stream.post(gone(it, "record"))
        await settle()
        lines = sentences(it)
        assert lines[0] == "cam is running and degraded: cam/record is down."
        assert lines[1].startswith("cam/record is backing off: attempt 1 at ")
        assert lines[-2].startswith("What you can do: look whether the disk is mounted")

    simulated(tmp_path, script)


def test_a_missing_track_is_named(tmp_path: Path) -> None:
    """Degraded with every part running: it is a track that does not come."""

    async def script(it: Simulation) -> None:
        await it.start(VIDEO, AUDIO)
        await it.flow(2.0, "video", "audio")
        await it.flow(6.0, "video", silent=("audio",))
        assert sentences(it)[0] == "cam is running and degraded: no audio comes."

    simulated(tmp_path, script)


def test_an_operators_stop_is_told_as_one(tmp_path: Path) -> None:
    """Who stopped it, when, for how long, and the command that ends it, in one sentence."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        stopped_at = local_time(it.clock.wall(), it.clock.wall())
        it.stream.want(up=False)
        await settle()
        await it.clock.advance(5.0)
        assert explained(it, stopped=True)["sentences"] == [
            (
                f"cam is stopped: an operator stopped it at {stopped_at}. It stays so, over "
                "restarts of the manager too, until: stream-manager start cam"
            )
        ]
        it.decisions.clear()
        assert explained(it, stopped=True)["sentences"][0].startswith(
            "cam is stopped: an operator stopped it. It stays so"
        )

    simulated(tmp_path, script)


def test_a_stream_that_starts_is_told_with_its_deadline(tmp_path: Path) -> None:
    """Nothing has failed, so there is nothing to do but to wait."""

    async def script(it: Simulation) -> None:
        it.stream.want(up=True)
        await settle()
        assert it.record().phase is Phase.STARTING
        lines = sentences(it)
        assert lines[0] == "cam is starting and unhealthy."
        assert lines[1].startswith("cam is starting: start under way, media due by ")
        assert not any("What you can do" in line for line in lines)

    simulated(tmp_path, script, replace(POLICY, start_deadline_s=20.0))
