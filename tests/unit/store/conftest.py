from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream_manager.clock import SystemClock
from stream_manager.store import Entry, Store

FIRST = Entry(
    seq=1,
    because=None,
    at=datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC),
    stream="front-door",
    component="source",
    epoch=3,
    event="Failed",
    rule="running-failed",
    cause="network",
    fault_class="recoverable",
    code="ECONNREFUSED",
    message="connection refused",
    before="running",
    after="tearing_down",
    attempt=2,
    next_attempt_at=datetime(2026, 2, 1, 0, 0, 1, tzinfo=UTC),
    saw={"delay_s": 1.5, "jitter": "equal", "due_s": None},
    actions=("stop source epoch 3",),
)


@pytest.fixture
def entries() -> Callable[..., list[Entry]]:
    """Make entries with the given seqs."""
    return lambda *seqs, **fields: [replace(FIRST, seq=seq, **fields) for seq in seqs]


@pytest.fixture
def faults() -> list[str]:
    """What stores said through on_fault."""
    return []


@pytest.fixture
def open_store(faults: list[str]) -> Iterator[Callable[[Path], Store]]:
    """Open stores that are closed after the test."""
    stores: list[Store] = []

    def make(state_dir: Path) -> Store:
        stores.append(Store.open(state_dir, clock=SystemClock(), on_fault=faults.append))
        return stores[-1]

    yield make
    for store in stores:
        store.close()
