"""Outages over a manager's own restarts, and the time that availability is a share of."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from stream_manager.store import Entry, OutageRow, Store
from stream_manager.streams.history import History
from stream_manager.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()


def test_an_outage_that_a_kill_left_open_ends_when_it_was_last_told_of(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Nobody watched the stream since, so nobody can say that it was down, or was repaired."""
    store = Store.open(tmp_path, clock=clock, on_fault=lambda _: None)
    began_at = clock.wall() - timedelta(hours=10)
    left = OutageRow(
        stream="cam", began_at=began_at, ended_at=None, cause="crash", code="SIGKILL", attempts=1
    )
    store.save_outage(left)
    asyncio.run(store.write([entry_at(began_at + timedelta(seconds=38))], at_most_s=5.0))
    history = History("cam", store=store, clock=clock)
    history.wanted(up=True)
    assert history.outages.current is None
    assert history.outages.total_s(clock.now_s) == pytest.approx(38.0)
    assert history.outages.mttr_s is None
    (row,) = store.outages("cam")
    assert row == replace(left, ended_at=began_at + timedelta(seconds=38), repaired=False)
    store.close()


def entry_at(at: datetime) -> Entry:
    """Return any journal entry of "cam"."""
    return Entry(
        seq=1,
        because=None,
        at=at,
        stream="cam",
        component="cam/source",
        epoch=1,
        event="failed",
        rule="crash",
        cause="crash",
        fault_class="recoverable",
        code="SIGKILL",
        message="",
        before="running",
        after="tearing_down",
        attempt=1,
        next_attempt_at=None,
        saw={},
        actions=(),
    )


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
