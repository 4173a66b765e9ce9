"""What outages add up to."""

from dataclasses import replace
from datetime import UTC, datetime

from stream_manager.health import Outage, Outages

FIRST = Outage(
    began_s=100.0, began_at=datetime(2026, 1, 31, tzinfo=UTC), cause="crash", code="SIGSEGV"
)


def test_an_outage_lasts_until_the_first_verified_media() -> None:
    """Its length counts once it ended, and while it lasts too."""
    outages = Outages()
    outages.begin(FIRST)
    assert outages.total_s(104.0) == 4.0
    assert outages.mttr_s is None
    ended = outages.end(110.0, repaired=True)
    assert ended == replace(FIRST, ended_s=110.0, repaired=True)
    assert outages.current is None
    assert outages.total_s(500.0) == 10.0
    assert outages.mttr_s == 10.0


def test_a_second_fault_does_not_begin_a_second_outage() -> None:
    """The cause that began an outage stays its cause, however it goes on."""
    outages = Outages()
    outages.begin(FIRST)
    outages.begin(replace(FIRST, began_s=105.0, cause="network"))
    assert outages.current == FIRST


def test_attempts_are_counted_into_the_open_outage_alone() -> None:
    """An attempt without an outage is nobody's."""
    outages = Outages()
    outages.attempted()
    outages.begin(FIRST)
    outages.attempted()
    outages.attempted()
    ended = outages.end(101.0, repaired=True)
    assert ended is not None
    assert ended.attempts == 2


def test_mttr_is_the_mean_over_all_repaired_outages() -> None:
    """Those of an earlier manager count too; one that a stop cut short was never repaired."""
    outages = Outages(lost_s=30.0, repairs=3, repaired_s=30.0)
    outages.begin(FIRST)
    outages.end(150.0, repaired=True)
    assert outages.repairs == 4
    assert outages.mttr_s == 20.0
    outages.begin(FIRST)
    outages.end(101.0, repaired=False)
    assert outages.mttr_s == 20.0
    assert outages.lost_s == 81.0


def test_availability_is_the_share_of_the_watched_time() -> None:
    """Ten seconds lost in a hundred are nine tenths; no time is no share."""
    outages = Outages()
    assert outages.availability(100.0, 0.0) is None
    outages.begin(FIRST)
    outages.end(110.0, repaired=True)
    assert outages.availability(200.0, 100.0) == 0.9
    assert Outages(lost_s=50.0).availability(0.0, 10.0) == 0.0
    assert Outages().availability(0.0, 10.0) == 1.0


def test_nothing_ends_where_nothing_began() -> None:
    """Media after a calm start closes no outage, and one can't end before it began."""
    outages = Outages()
    assert outages.end(1.0, repaired=True) is None
    outages.begin(FIRST)
    ended = outages.end(90.0, repaired=True)
    assert ended is not None
    assert ended.ended_s == FIRST.began_s
    assert outages.lost_s == 0.0
