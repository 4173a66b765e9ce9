"""Outages over a manager's own restarts, and the time that availability is a share of."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.fake_clock import FakeClock

from stream_manager.store import OutageRow, Store
from stream_manager.streams.history import History


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()


def test_an_outage_goes_on_where_the_manager_died(tmp_path: Path, clock: FakeClock) -> None:
    """It began before this manager, ends in it, and counts once."""
    store = Store.open(tmp_path, clock=clock, on_fault=lambda _: None)
    began_at = clock.wall() - timedelta(seconds=30)
    store.save_outage(
        OutageRow(
            stream="cam",
            began_at=began_at,
            ended_at=None,
            cause="crash",
            code="SIGKILL",
            attempts=1,
        )
    )
    history = History("cam", store=store, clock=clock)
    history.wanted(up=True)
    assert history.outages.total_s(clock.now_s) == pytest.approx(30.0)
    clock.now_s += 10.0
    ended = history.proven(clock.now_s - 2.0)
    assert ended is not None
    assert ended.began_at == began_at
    assert history.outages.count == 1
    assert history.outages.mttr_s == pytest.approx(38.0)
    (row,) = store.outages("cam")
    assert row.ended_at == began_at + timedelta(seconds=38)
    again = History("cam", store=store, clock=clock)
    assert again.outages.current is None
    assert again.outages.count == 1
    assert again.outages.mttr_s == pytest.approx(38.0)
    store.close()


def test_time_is_observed_only_while_the_stream_is_wanted(tmp_path: Path, clock: FakeClock) -> None:
    """Commands in between, and a second start, neither lose nor invent any of it."""
    store = Store.open(tmp_path, clock=clock, on_fault=lambda _: None)
    history = History("cam", store=store, clock=clock)
    assert history.availability() is None
    history.wanted(up=True)
    clock.now_s += 4.0
    history.wanted(up=True)
    clock.now_s += 6.0
    history.wanted(up=False)
    clock.now_s += 100.0
    history.observe()
    assert store.totals()["cam"].observed_s == pytest.approx(10.0)
    assert history.availability() == 1.0
    store.close()
