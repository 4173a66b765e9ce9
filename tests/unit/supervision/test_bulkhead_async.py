"""Bulkhead for tasks, on one event loop or on several, beside threads."""

import asyncio
import random
import threading

import pytest
from tests.unit.supervision.holder import PATIENT_S, Holder, until

from stream_manager.errors import BulkheadFullError
from stream_manager.supervision import Bulkhead
from stream_manager.testing import settle


class Door:
    """Tasks that are in the bulkhead until the door opens; `entered` tells in which order."""

    def __init__(self, bulkhead: Bulkhead) -> None:
        self.bulkhead = bulkhead
        self.entered: list[int] = []
        self.opened = asyncio.Event()

    async def task(self, number: int) -> "asyncio.Task[None]":
        """Begin a task and let it come as far as it gets."""
        task = asyncio.create_task(self._pass(number))
        await settle()
        return task

    async def _pass(self, number: int) -> None:
        async with self.bulkhead:
            self.entered.append(number)
            await self.opened.wait()


def test_tasks_go_in_as_they_came() -> None:
    """One place and four waiters: first come, first served."""

    async def script() -> None:
        door = Door(Bulkhead("api", concurrent=1, wait_s=PATIENT_S))
        tasks = [await door.task(number) for number in range(5)]
        assert (door.bulkhead.running, door.bulkhead.waiting) == (1, 4)
        door.opened.set()
        await asyncio.gather(*tasks)
        assert door.entered == [0, 1, 2, 3, 4]
        assert (door.bulkhead.running, door.bulkhead.waiting) == (0, 0)

    asyncio.run(script())


def test_queue_and_wait_are_bounded() -> None:
    """A full queue turns away at once, and a wait that was in vain after `wait_s`."""

    async def script() -> None:
        door = Door(Bulkhead("api", concurrent=1, queue=1, wait_s=0.01))
        inside, waiter = [await door.task(number) for number in range(2)]
        with pytest.raises(BulkheadFullError, match="its queue of 1 is full"):
            await door.bulkhead.acall(settle)
        with pytest.raises(BulkheadFullError, match=r"within 0\.01 s"):
            await waiter
        door.opened.set()
        await inside
        assert (door.bulkhead.running, door.bulkhead.waiting) == (0, 0)

    asyncio.run(script())


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """The one behind it goes in, and no place is lost."""

    async def script() -> None:
        door = Door(Bulkhead("api", concurrent=1, queue=2, wait_s=PATIENT_S))
        _, waiter, behind = [await door.task(number) for number in range(3)]
        waiter.cancel()
        await settle()
        assert door.bulkhead.waiting == 1
        door.opened.set()
        await behind
        assert door.entered == [0, 2]
        assert (door.bulkhead.running, door.bulkhead.waiting) == (0, 0)

    asyncio.run(script())


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_waiter_cancelled_at_the_moment_it_is_let_in_passes_its_place_on(turns: int) -> None:
    """However far the news has come when the cancellation does, the next one goes in."""

    async def script() -> None:
        door = Door(Bulkhead("api", concurrent=1, wait_s=PATIENT_S))
        await door.bulkhead.__aenter__()
        waiter = await door.task(1)
        behind = await door.task(2)
        await door.bulkhead.__aexit__()
        assert door.bulkhead.waiting == 1  # the place is the first waiter's already
        for _ in range(turns):
            await asyncio.sleep(0)
        waiter.cancel()
        await settle()
        assert waiter.cancelled()
        assert door.entered[-1] == 2
        door.opened.set()
        await behind
        assert (door.bulkhead.running, door.bulkhead.waiting) == (0, 0)

    asyncio.run(script())


def test_a_waiter_whose_loop_was_closed_is_passed_over() -> None:
    """A place is not given to a task that can never run again, nor given back by it at its end."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)
    bulkhead.__enter__()
    loop = asyncio.new_event_loop()
    entering = bulkhead.__aenter__()

    async def wait() -> None:
        await entering

    task = loop.create_task(wait())
    loop.run_until_complete(settle())
    loop.close()
    holder = Holder(bulkhead)
    until(lambda: bulkhead.waiting == 2)
    bulkhead.__exit__()
    until(lambda: bulkhead.waiting == 0)
    holder.end()
    assert holder.error is None
    task.get_coro().close()
    entering.close()
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


def test_threads_and_tasks_share_one_queue() -> None:
    """A thread that waits is let in by a task, and a task by a thread."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)

    async def script() -> None:
        async with bulkhead:
            holder = Holder(bulkhead)
            await asyncio.to_thread(until, lambda: bulkhead.waiting == 1)
        await asyncio.to_thread(until, lambda: bulkhead.running == 1)
        task = asyncio.create_task(bulkhead.acall(settle))
        await settle()
        assert bulkhead.waiting == 1
        await asyncio.to_thread(holder.end)
        await task
        assert holder.error is None

    asyncio.run(script())
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


@pytest.mark.usefixtures("hasty_threads")
def test_no_place_is_lost_in_a_storm_of_cancellations() -> None:
    """On two loops at once, tasks are cancelled at random moments: all places come back."""
    bulkhead = Bulkhead("api", concurrent=3, queue=50, wait_s=0.002)
    inside, most, entered = 0, 0, 0

    async def use() -> None:
        nonlocal inside, most, entered
        async with bulkhead:
            inside += 1
            entered += 1
            most = max(most, bulkhead.running)
            await asyncio.sleep(0)
            inside -= 1

    async def storm(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(60):
            tasks = [asyncio.create_task(use()) for _ in range(20)]
            for _ in range(draw.randrange(6)):
                await asyncio.sleep(0)
            for task in draw.sample(tasks, 10):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    threads = [threading.Thread(target=lambda n=n: asyncio.run(storm(n))) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENT_S)
    assert entered > 100
    assert most == 3
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


def test_it_decorates_async_functions() -> None:
    """The decorated function stays async and keeps its name."""
    bulkhead = Bulkhead("api", concurrent=1)
    seen: list[int] = []

    @bulkhead
    async def fetch(times: int) -> int:
        seen.append(bulkhead.running)
        return times

    assert asyncio.run(fetch(3)) == 3
    assert seen == [1]
    assert bulkhead.running == 0
    assert fetch.__name__ == "fetch"
