"""Deadlines that nested code inherits."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.supervision.retry_world import world

from stream_manager.supervision import Bulkhead, deadline, remaining_s
from stream_manager.testing import settle


def test_a_deadline_can_be_asked_for() -> None:
    """What is called can take the rest of it as its own timeout."""
    call, made = world()
    clock = call.clock
    left: list[float | None] = [remaining_s(clock=clock)]

    def look() -> None:
        left.append(remaining_s(clock=clock))

    made().call(look)
    with deadline(5.0, clock=clock):
        look()
        clock.now_s += 2.0
        made(deadline_s=1.0, attempts=1).call(look)
        look()
        with deadline(60.0, clock=clock):
            look()
        clock.now_s += 60.0
        look()
    look()
    assert left == [None, None, 5.0, 1.0, 3.0, 3.0, 0.0, None]


def test_a_generator_that_yields_outside_of_its_deadline_bounds_itself_alone() -> None:
    """The deadline is entered anew for each step, and who iterates has none."""
    left: dict[str, list[float | None]] = {"inside": [], "outside": []}

    async def pages() -> AsyncIterator[int]:
        for number in range(2):
            with deadline(5.0):
                await settle()
                left["inside"].append(remaining_s())
            yield number

    async def script() -> None:
        async for _ in pages():
            left["outside"].append(remaining_s())

    asyncio.run(script())
    assert None not in left["inside"]
    assert left["outside"] == [None, None]


def test_a_retry_around_a_bulkhead_waits_within_its_deadline() -> None:
    """The queue of a bulkhead inside is left when the deadline is over."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=600.0)

    async def script() -> None:
        async with bulkhead:
            with deadline(0.01), pytest.raises(Exception, match=r"none came free within 0\.0"):
                await bulkhead.acall(settle)
        assert (bulkhead.running, bulkhead.waiting) == (0, 0)

    asyncio.run(script())
