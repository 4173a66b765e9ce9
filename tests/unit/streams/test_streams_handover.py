"""A worker's successor: when it may take over, when it is given up, and what follows then."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.streams.simulated import (
    VIDEO,
    NoForks,
    Simulation,
    settings_of,
)

from stream_manager.health import Pulse
from stream_manager.pipelines.messages import (
    VERSION,
    Hello,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    SegmentClosed,
    SegmentOpened,
    Spawn,
    StartRecord,
    StartSource,
    Track,
    TrackProgress,
)
from stream_manager.pipelines.spec import RecordSpec, TestSource
from stream_manager.store import Store
from stream_manager.streams.launcher import Forked, Launcher, SpawnRefused
from stream_manager.streams.successor import Orders, Successor
from stream_manager.testing import FakeClock, settle

if TYPE_CHECKING:
    from stream_manager.streams.recording import Recording

HELLO = Hello(version=VERSION, instance="test", stream="cam", epoch=2, pid=1)
SOURCE_RUNS = PartStarted(part="source", epoch=4, tracks=(VIDEO,))
RECORDER_RUNS = PartStarted(part="record", epoch=3)
OPENED = SegmentOpened(
    part="record",
    epoch=3,
    sequence=1,
    path="/recordings/cam/one.ts",
    began_at=0.0,
    container="ts",
    tracks=(),
    continues=False,
)
CLOSED = SegmentClosed(
    part="record", epoch=3, sequence=1, path="/recordings/cam/one.ts", duration_s=1.0, bytes=1
)


class Heard:
    """What a successor tells, and what it has the index told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ended_epochs: list[range] = []

    def opened(self, fact: SegmentOpened) -> None:
        """Note a file."""
        self.told.append(f"opened {fact.sequence}")

    def closed(self, fact: SegmentClosed) -> None:
        """Note its end."""
        self.told.append(f"closed {fact.sequence}")

    def ended(self, epochs: range) -> None:
        """Note the end of recorders."""
        self.ended_epochs.append(epochs)

    async def written(self) -> bool:
        """Say that all is on disk."""
        return True


def report(seconds: float, *, wrote_s: float | None) -> Progress:
    """Return what a worker reports that has had pictures for so long, and has written."""
    track = TrackProgress(
        name="video",
        frames=int(25 * seconds),
        bytes=1000,
        first_s=0.0,
        key_s=0.0,
        last_s=seconds,
        gap_max_s=0.04,
        gap_mean_s=0.04,
        gap_deviation_s=0.0,
    )
    wrote = wrote_s is not None
    output = OutputProgress(
        part="record", epoch=3, bytes=1, first_s=0.0 if wrote else None, last_s=wrote_s
    )
    return Progress(at_s=seconds, late_s=0.0, epoch=4, tracks=(track,), outputs=(output,))


def pulse(tracks: tuple[Track, ...]) -> Pulse:
    """Return what proves a source after a second."""
    return Pulse(tracks=tracks, expected=(), verify_for_s=1.0, stall_after_s=None, rhythms={})


def prepared(
    script: Callable[[Successor, Heard], Coroutine[None, None, None]],
    launcher: NoForks | None = None,
    *,
    record: bool = True,
) -> None:
    """Run a script with a successor whose process the test plays."""

    async def run() -> None:
        heard = Heard()
        successor = Successor(
            Orders(
                worker=Spawn(
                    stream="cam",
                    instance="test",
                    epoch=2,
                    digest="d1",
                    socket_path="/nonexistent",
                    log_path="",
                ),
                source=StartSource(epoch=4, source=TestSource()),
                record=StartRecord(epoch=3, record=RecordSpec(directory="/r"), sequence=1)
                if record
                else None,
            ),
            launcher=cast("Launcher", launcher or NoForks()),
            recording=cast("Recording", heard),
            pulse=pulse,
            verify_for_s=1.0,
            on_verified=lambda: heard.told.append("verified"),
            on_failed=lambda why: heard.told.append(f"failed: {why}"),
        )
        await settle()
        await script(successor, heard)
        successor.life.cancel()
        await asyncio.gather(successor.life, return_exceptions=True)

    asyncio.run(run())


def test_it_is_verified_by_its_source_and_its_recorder() -> None:
    """Each for the time that a run has to prove itself, and it is told once."""

    async def script(it: Successor, heard: Heard) -> None:
        it.hear(report(2.0, wrote_s=2.0))  # of a source that it has not begun
        it.hear(HELLO)
        assert (it.began("source", 4), it.began("record", 3)) == (True, False)
        it.hear(SOURCE_RUNS)
        it.hear(RECORDER_RUNS)
        assert it.began("record", 3)
        assert not it.began("record", 4)
        it.hear(report(0.5, wrote_s=None))
        it.hear(report(1.5, wrote_s=0.9))
        assert heard.told == []
        it.hear(report(2.0, wrote_s=1.0))
        it.hear(report(3.0, wrote_s=3.0))
        assert heard.told == ["verified"]
        assert it.said("source") == [SOURCE_RUNS]
        assert it.said("record") == [RECORDER_RUNS]

    prepared(script)


def test_without_a_recording_its_source_is_enough() -> None:
    """There is nothing else that it could prove."""

    async def script(it: Successor, heard: Heard) -> None:
        for message in (HELLO, SOURCE_RUNS, report(0.5, wrote_s=None), report(1.5, wrote_s=None)):
            it.hear(message)
        assert heard.told == ["verified"]
        it.leave_files()
        assert heard.ended_epochs == []

    prepared(script, record=False)


def test_its_files_are_told_at_once_and_are_known_by_their_recorder() -> None:
    """When it is gone, only what its own recorder has left open is closed."""

    async def script(it: Successor, heard: Heard) -> None:
        it.hear(OPENED)
        it.hear(CLOSED)
        assert heard.told == ["opened 1", "closed 1"]
        it.leave_files()
        assert heard.ended_epochs == [range(3, 4)]

    prepared(script)


def failed(text: str) -> PartFailed:
    """Return the failure of its source."""
    return PartFailed(part="source", epoch=4, origin="rtspsrc", code="gst:5", text=text)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (failed("Not Enough Bandwidth (453)"), "its source failed: Not Enough Bandwidth (453)"),
        (failed(""), "its source failed: gst:5"),
        (PartGone(part="record", epoch=3), "its record has ended"),
    ],
)
def test_a_part_that_fails_ends_it_once(message: PartFailed | PartGone, why: str) -> None:
    """Verified or not; what comes later is of no more interest."""

    async def script(it: Successor, heard: Heard) -> None:
        it.hear(HELLO)
        it.hear(message)
        it.hear(failed("again"))
        assert heard.told == [f"failed: {why}"]
        assert not it.lives

    prepared(script)


def test_one_that_has_taken_over_is_no_successor_any_more() -> None:
    """Its failures are told by the worker that it is now."""

    async def script(it: Successor, heard: Heard) -> None:
        it.close()
        it.hear(failed("453"))
        assert heard.told == []

    prepared(script)


class Refuses(NoForks):
    """A launcher that makes no second process."""

    async def spawn(self, order: Spawn) -> Forked:
        """Refuse it."""
        if order.epoch > 1:
            raise SpawnRefused("EAGAIN", "no process could be forked")
        return await super().spawn(order)


def test_one_that_can_not_be_forked_fails() -> None:
    """By the launcher's own words."""

    async def script(_: Successor, heard: Heard) -> None:
        assert heard.told == ["failed: no process could be forked"]

    prepared(script, Refuses())


# --- of a whole stream --------------------------------------------------------------------------


def simulated(
    folder: Path,
    script: Callable[[Simulation], Coroutine[Any, Any, None]],
    *,
    makes_before_break: bool = True,
) -> None:
    """Run a script against a stream that makes before it breaks."""

    async def run() -> None:
        clock = FakeClock()
        store = Store.open(folder, clock=clock, on_fault=lambda _: None)
        try:
            settings = replace(settings_of(), makes_before_break=makes_before_break)
            it = Simulation(store, clock, settings)
            async with it.running():
                await it.start()
                await it.flow(2.0)
                it.decisions.clear()
                await script(it)
        finally:
            store.close()

    asyncio.run(run())


def rules(it: Simulation) -> list[str]:
    """Return what was decided about the worker."""
    return [decision.rule for decision in it.decisions if decision.id == "cam"]


def test_by_default_the_worker_breaks_before_the_next_is_made(tmp_path: Path) -> None:
    """No successor, no word of one."""

    async def script(it: Simulation) -> None:
        it.stream.restart()
        await settle()
        assert rules(it)[0] == "restart-commanded"

    simulated(tmp_path, script, makes_before_break=False)


def test_what_is_not_healthy_has_nothing_to_wait_for(tmp_path: Path) -> None:
    """A restart of a stream whose source is down is a restart."""

    async def script(it: Simulation) -> None:
        await it.part_fails("connect", "ECONNREFUSED")
        it.stream.restart()
        await settle()
        assert "handover-begun" not in rules(it)
        assert "restart-commanded" in rules(it)

    simulated(tmp_path, script)


def test_a_successor_that_fails_is_told_and_the_worker_replaced_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second restart meanwhile begins no second successor."""

    async def refuse(_self: NoForks, _order: Spawn) -> Forked:
        raise SpawnRefused("EAGAIN", "no process could be forked")

    async def script(it: Simulation) -> None:
        monkeypatch.setattr(NoForks, "spawn", refuse)
        it.stream.restart()
        it.stream.restart()
        await settle()
        told = rules(it)
        assert told.count("handover-begun") == told.count("handover-failed") == 1
        assert "restart-commanded" in told
        assert why(it) == "no process could be forked"

    simulated(tmp_path, script)


def why(it: Simulation) -> object:
    """Return why a successor was given up."""
    return next(one.saw["why"] for one in it.decisions if one.rule == "handover-failed")


def test_a_successor_that_is_late_is_given_up(tmp_path: Path) -> None:
    """A manager that was late itself gives it as much longer."""

    async def script(it: Simulation) -> None:
        it.stream.restart()
        await it.flow(15.2)
        it.stream.look(lag_s=1.0)
        await settle()
        assert "handover-failed" not in rules(it)
        it.stream.look(lag_s=0.0)
        await settle()
        assert why(it) == "it did not do all that the worker does within 15 s"

    simulated(tmp_path, script)


def test_a_source_that_falls_meanwhile_gives_its_successor_up(tmp_path: Path) -> None:
    """It is rebuilt in its worker, as the run that the successor was to be."""

    async def script(it: Simulation) -> None:
        it.stream.restart()
        await settle()
        await it.part_fails("connect", "ECONNREFUSED")
        assert why(it) == "cam/source went down meanwhile"

    simulated(tmp_path, script)


def test_a_worker_that_falls_meanwhile_leaves_its_successor_the_next_run(tmp_path: Path) -> None:
    """It goes on preparing; a stream that is not wanted any more has no next run."""

    async def script(it: Simulation) -> None:
        it.stream.restart()
        await it.worker_dies()
        assert "handover-failed" not in rules(it)
        it.stream.want(up=False)
        await settle()
        assert "handover-failed" not in rules(it)  # nobody is told of what nobody wants
        assert "handover-begun" in rules(it)

    simulated(tmp_path, script)
