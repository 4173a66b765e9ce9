"""What a run goes on from: its own configuration's, sound, or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.streams.simulated import AUDIO, VIDEO, settings_of

from stream_manager.config import StreamSettings
from stream_manager.health import Pulse, Rhythm
from stream_manager.pipelines.messages import SegmentClosed, TrackProgress
from stream_manager.pipelines.spec import RecordSpec
from stream_manager.recovery import Start
from stream_manager.store import Store
from stream_manager.streams.snapshots import POSITION_EVERY_S, Snapshots
from stream_manager.testing import FakeClock

RECORD = RecordSpec(directory="/recordings")


def start(part: str, *, epoch: int = 2, restore: bool = True) -> Start:
    """Return the action that starts a part."""
    return Start(id=f"cam/{part}", epoch=epoch, restore=restore, deadline_s=15.0)


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()


@pytest.fixture
def faults() -> list[str]:
    """Give what the store said."""
    return []


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock, faults: list[str]) -> Iterator[Store]:
    """Give a store in which nothing is known yet."""
    store = Store.open(tmp_path, clock=clock, on_fault=faults.append)
    yield store
    store.close()


def of(store: Store, clock: FakeClock, settings: StreamSettings | None = None) -> Snapshots:
    """Return the snapshots as a new manager reads them."""
    return Snapshots(settings or settings_of(), store=store, clock=clock)


def proven_pulse(clock: FakeClock) -> Pulse:
    """Return a pulse that has heard two seconds of even media."""
    pulse = Pulse(
        tracks=(VIDEO, AUDIO), expected=(), verify_for_s=1.0, stall_after_s=None, rhythms={}
    )
    for frames in (1, 50):
        readings = [
            TrackProgress(
                name=name,
                frames=frames,
                bytes=frames,
                first_s=clock.now_s - 2.0,
                key_s=clock.now_s - 2.0,
                last_s=clock.now_s,
                gap_max_s=0.05,
                gap_mean_s=0.04,
                gap_deviation_s=0.001,
            )
            for name in ("video", "audio")
        ]
        pulse.hear(readings, at_s=clock.now_s, late_s=0.0, output_last_s=None)
    assert pulse.proven
    return pulse


def test_a_clean_start_begins_at_the_beginning(store: Store, clock: FakeClock) -> None:
    """Without a snapshot there is no position, no expectation, and segment 1."""
    snapshots = of(store, clock)
    assert snapshots.epoch("cam") == 0
    assert snapshots.expected == frozenset()
    assert snapshots.source_order(start("source"), hold=True).position_s == 0.0
    assert snapshots.record_order(start("record"), RECORD).sequence == 1


def test_a_file_goes_on_from_its_saved_position(store: Store, clock: FakeClock) -> None:
    """After a kill, and for the next manager, with what was learned of the tracks."""
    snapshots = of(store, clock)
    pulse = proven_pulse(clock)
    snapshots.keep(pulse, 1, (VIDEO, AUDIO), 12.5)
    clock.now_s += POSITION_EVERY_S / 2
    snapshots.keep(pulse, 1, (VIDEO, AUDIO), 13.0)
    assert snapshots.source_order(start("source"), hold=False).position_s == 12.5
    clock.now_s += POSITION_EVERY_S
    snapshots.keep(pulse, 2, (VIDEO, AUDIO), 14.0)
    later = of(store, clock)
    assert later.source_order(start("source", epoch=3), hold=False).position_s == 14.0
    assert later.expected == {"video", "audio"}
    assert later.rhythms["video"] == pulse.rhythms["video"]
    assert later.epoch("cam/source") == 3


def test_a_run_that_is_not_proven_saves_nothing(store: Store, clock: FakeClock) -> None:
    """What may be broken is not what the next run goes on from."""
    snapshots = of(store, clock)
    pulse = Pulse(tracks=(VIDEO,), expected=(), verify_for_s=1.0, stall_after_s=None, rhythms={})
    snapshots.keep(pulse, 1, (VIDEO,), 12.5)
    assert of(store, clock).source_order(start("source"), hold=False).position_s == 0.0


def test_segments_are_numbered_on(store: Store, clock: FakeClock) -> None:
    """The next run's first segment comes after the last finished one."""
    snapshots = of(store, clock)
    snapshots.finished(
        SegmentClosed(
            part="record",
            epoch=1,
            sequence=41,
            path="/recordings/cam/41.ts",
            duration_s=60.0,
            bytes=1000,
        )
    )
    assert snapshots.record_order(start("record"), RECORD).sequence == 42
    assert of(store, clock).record_order(start("record"), RECORD).sequence == 42


def test_another_configuration_starts_clean_but_counts_on(store: Store, clock: FakeClock) -> None:
    """A position in another file means nothing; an epoch used twice would mislead."""
    snapshots = of(store, clock)
    snapshots.keep(proven_pulse(clock), 7, (VIDEO, AUDIO), 12.5)
    changed = of(store, clock, settings_of(digest="d2"))
    assert changed.expected == frozenset()
    assert changed.rhythms == {}
    assert changed.epoch("cam/source") == 7
    assert changed.source_order(start("source", epoch=8), hold=False).position_s == 0.0


def test_a_snapshot_that_starts_fail_with_is_set_aside(
    store: Store, clock: FakeClock, faults: list[str]
) -> None:
    """The core says so; the run starts clean, once, and it is told."""
    snapshots = of(store, clock)
    snapshots.keep(proven_pulse(clock), 1, (VIDEO, AUDIO), 12.5)
    order = snapshots.source_order(start("source", epoch=4, restore=False), hold=False)
    assert order.position_s == 0.0
    assert any("cam/source" in text for text in faults)
    assert of(store, clock).epoch("cam/source") == 4


def test_a_rhythm_survives_the_way_to_the_disk(store: Store, clock: FakeClock) -> None:
    """What comes back is what was learned."""
    snapshots = of(store, clock)
    snapshots.keep(proven_pulse(clock), 1, (VIDEO, AUDIO), None)
    rhythm = of(store, clock).rhythms["audio"]
    assert isinstance(rhythm, Rhythm)
    assert rhythm.frames == 50
