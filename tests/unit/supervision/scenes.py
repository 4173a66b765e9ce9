"""Scenes inside a supervisor's block, on a clock that the test moves."""

import asyncio
from collections.abc import Callable, Coroutine

from stream_manager.supervision import Supervisor
from stream_manager.testing import FakeClock, settle

Scene = Callable[[Supervisor, FakeClock], Coroutine[None, None, None]]


def supervised(scene: Scene) -> FakeClock:
    """Play a scene inside a supervisor's block; return the clock as the block left it."""
    clock = FakeClock()

    async def play(over: asyncio.Event) -> None:
        async with Supervisor(clock=clock) as supervisor:
            try:
                await scene(supervisor, clock)
            finally:
                over.set()

    async def run() -> None:
        over = asyncio.Event()
        task = asyncio.create_task(play(over))
        await over.wait()
        await clock.until(task)  # a scene moves the clock itself, the block's end does not
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    return clock


async def forever() -> None:
    """Do nothing until cancelled."""
    await asyncio.get_running_loop().create_future()
