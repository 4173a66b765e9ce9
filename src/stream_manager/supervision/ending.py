"""Bounded ends: waiting for a task for a time, and ending one that does not want to."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from stream_manager.clock import Clock

# For what was cancelled for good.
LAST_PATIENCE_S = 1.0

logger = logging.getLogger(__name__)


async def within(work: asyncio.Future[Any], at_most_s: float, clock: Clock) -> bool:
    """Wait for `work`, which is left alone, and tell whether it was done in time."""
    if work.done():
        return True
    timer = asyncio.ensure_future(clock.sleep(at_most_s))
    try:
        await asyncio.wait((work, timer), return_when=asyncio.FIRST_COMPLETED)
        if timer.done():
            timer.result()  # a clock that breaks must not look like one that is over
    finally:
        timer.cancel()
    return work.done()


def close(task: asyncio.Task[Any]) -> None:
    """End a task that swallows its cancellation: its coroutine gets GeneratorExit where it waits.

    Only a bare `except` in a loop survives that.
    """
    with suppress(RuntimeError):  # it has ignored this too
        task.get_coro().close()
    task.cancel()  # wakes the task, which finds its coroutine closed


async def end(tasks: Collection[asyncio.Task[Any]], clock: Clock) -> None:
    """End tasks for good: cancelled, then closed; what is left even then is named in the log."""
    for harsher in (asyncio.Task.cancel, close):
        left = [task for task in tasks if not task.done()]
        for task in left:
            harsher(task)
        if left:
            ended = asyncio.gather(*left, return_exceptions=True)
            await within(ended, LAST_PATIENCE_S, clock)
    for task in tasks:
        if not task.done():
            logger.error("%s ends by no means and is left behind", task.get_name())
