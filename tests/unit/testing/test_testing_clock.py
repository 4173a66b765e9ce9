"""The clock of tests: sleepers wake in order, at their instants, and nobody waits for real."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

import pytest

from stream_manager.testing import FakeClock, settle
from stream_manager.testing.clock import BEGINNING

Scene = Callable[[FakeClock], Coroutine[None, None, None]]


def played(scene: Scene) -> None:
    """Play a scene with a clock that begins at 1000 s."""

    async def run() -> None:
        await scene(FakeClock())

    asyncio.run(run())


def test_sleepers_wake_in_order_each_at_its_own_instant() -> None:
    """One big step is as good as many small ones, also for who sleeps again."""
    woke: list[tuple[str, float]] = []

    async def scene(clock: FakeClock) -> None:
        async def sleeper(name: str, *delays_s: float) -> None:
            for delay_s in delays_s:
                await clock.sleep(delay_s)
                woke.append((name, clock.monotonic_s() - 1000.0))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sleeper("late", 3.0))
            tasks.create_task(sleeper("early", 1.0, 1.5, 9.0))
            await clock.advance(5.0)
            assert clock.now_s == 1005.0
            await clock.advance(10.0)

    played(scene)
    assert woke == [("early", 1.0), ("early", 2.5), ("late", 3.0), ("early", 11.5)]


def test_until_goes_as_far_as_something_takes() -> None:
    """It returns what the work returns, and the clock stands where it was done."""

    async def scene(clock: FakeClock) -> None:
        async def work() -> str:
            await clock.sleep(3600.0)
            return "done"

        assert await clock.until(work()) == "done"
        assert clock.now_s == 4600.0

    played(scene)


def test_until_raises_what_the_work_raises() -> None:
    """A test sees the error itself."""

    async def scene(clock: FakeClock) -> None:
        async def work() -> None:
            await clock.sleep(1.0)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await clock.until(work())

    played(scene)


def test_what_no_clock_can_bring_about_is_not_waited_for() -> None:
    """A test that would hang fails, and the work is cancelled; so does one past its time."""

    async def scene(clock: FakeClock) -> None:
        work = asyncio.ensure_future(asyncio.Event().wait())
        with pytest.raises(TimeoutError, match="nobody sleeps"):
            await clock.until(work)
        assert work.cancelled()
        with pytest.raises(TimeoutError, match="within 5 s"):
            await clock.until(clock.sleep(6.0), at_most_s=5.0)
        assert clock.now_s == 1000.0

    played(scene)


def test_a_sleep_of_no_time_needs_no_move() -> None:
    """As on a real clock, it only lets the others go first."""

    async def scene(clock: FakeClock) -> None:
        await clock.sleep(0.0)
        await clock.sleep(-1.0)
        assert clock.now_s == 1000.0

    played(scene)


def test_a_sleeper_that_was_cancelled_holds_up_nobody() -> None:
    """Its instant is passed by."""

    async def scene(clock: FakeClock) -> None:
        task = asyncio.create_task(clock.sleep(1.0))
        await settle()
        task.cancel()
        await settle()
        await clock.until(clock.sleep(2.0))
        assert clock.now_s == 1002.0

    played(scene)


def test_the_wall_goes_with_it() -> None:
    """Its date is the beginning's, and so much later."""

    async def scene(clock: FakeClock) -> None:
        assert clock.wall() == BEGINNING
        await clock.advance(90.0)
        assert clock.wall() == BEGINNING + timedelta(seconds=90)

    played(scene)


def test_settle_lasts_until_everybody_waits() -> None:
    """However many turns a chain of tasks takes, and it ends with one that never rests."""

    async def scene(_: FakeClock) -> None:
        turns = 0

        async def busy(count: int) -> None:
            nonlocal turns
            for _ in range(count):
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(busy(500))
        await settle()
        assert task.done()
        assert turns == 500
        endless = asyncio.create_task(busy(1_000_000))
        await settle()
        assert not endless.done()
        endless.cancel()

    played(scene)
