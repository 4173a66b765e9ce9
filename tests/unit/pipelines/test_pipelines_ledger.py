"""What a worker keeps for the next manager: in order, bounded, no longer than needed."""

import pytest

from stream_manager.pipelines.ledger import Ledger
from stream_manager.pipelines.messages import (
    Fact,
    PartFailed,
    PartGone,
    PartStarted,
    SegmentClosed,
    SegmentOpened,
)


def opened(number: int, epoch: int = 1) -> SegmentOpened:
    """Return the beginning of a file."""
    return SegmentOpened(
        part="record",
        epoch=epoch,
        sequence=number,
        path=f"/r/{number}.ts",
        began_at=float(number),
        container="ts",
        tracks=(),
        continues=number > 1,
    )


def closed(number: int, epoch: int = 1) -> SegmentClosed:
    """Return the end of a file."""
    return SegmentClosed(
        part="record",
        epoch=epoch,
        sequence=number,
        path=f"/r/{number}.ts",
        duration_s=1.0,
        bytes=1,
    )


STARTED = PartStarted(part="record", epoch=1)
FAILED = PartFailed(part="record", epoch=1, origin="fdsink", code="EIO")
GONE = PartGone(part="record", epoch=1)


def ledger(*facts: Fact, kept: int = 100) -> Ledger:
    """Return one that was alone while this happened."""
    made = Ledger(kept=kept)
    for fact in facts:
        made.take(fact)
    return made


def test_everything_is_told_again_in_its_order() -> None:
    """A manager that read it may have died before it acted."""
    facts = (STARTED, opened(1), closed(1), opened(2), FAILED)
    kept = ledger(*facts)
    assert kept.begin() == facts
    kept.leave()
    assert kept.begin() == facts


def test_a_file_is_kept_until_its_end_is_noted() -> None:
    """Else its end would be told to a manager that never heard of it."""
    kept = ledger(STARTED, opened(1))
    kept.begin()
    kept.noted(2)
    kept.leave()
    kept.take(closed(1))
    assert kept.begin() == (STARTED, opened(1), closed(1))
    kept.noted(3)
    kept.leave()
    assert kept.begin() == (STARTED,)


def test_what_holds_of_a_part_is_told_until_it_is_gone() -> None:
    """Noted or not; that it is gone ends the files that it left open, and is told until noted."""
    kept = ledger(STARTED, FAILED, opened(1))
    kept.begin()
    kept.noted(3)
    kept.take(GONE)
    kept.leave()
    assert kept.begin() == (opened(1), GONE)
    kept.noted(2)
    kept.leave()
    assert kept.begin() == ()


def test_only_what_this_connection_was_told_can_be_noted() -> None:
    """A count that is too high, or comes when nobody is connected, takes nothing else away."""
    kept = ledger(opened(1), closed(1))
    kept.noted(2)
    assert len(kept.begin()) == 2
    kept.noted(99)
    kept.take(opened(2))
    kept.leave()
    assert kept.begin() == (opened(2),)


@pytest.mark.parametrize("connected", [False, True])
def test_the_oldest_files_are_given_up_for_want_of_room_and_counted(*, connected: bool) -> None:
    """What is open and what holds stays; nothing is dropped silently."""
    kept = Ledger(kept=5)
    if connected:
        kept.begin()
    kept.take(STARTED)
    for number in range(1, 5):
        kept.take(opened(number))
        kept.take(closed(number))
    kept.take(opened(5))
    assert kept.forgotten == 6
    kept.leave()
    assert kept.begin() == (STARTED, opened(4), closed(4), opened(5))


def test_without_any_file_the_oldest_fact_goes() -> None:
    """A bound is a bound."""
    kept = ledger(*(PartGone(part="source", epoch=number) for number in range(4)), kept=3)
    assert kept.forgotten == 1
    assert [it.epoch for it in kept.begin()] == [1, 2, 3]
