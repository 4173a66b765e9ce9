"""Work that may block for as long as a disk does, away from the event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Return what `work` returns, done in a thread that the end of the process does not wait for.

    asyncio.to_thread's does not do: a volume that hangs would keep the manager from ending, and a
    few of them would take all its threads.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[], None]) -> None:
        if not done.done():  # nobody waits any more where it was cancelled
            settled()

    def tell(settled: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, settled)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - a thread's root; it is raised in the loop
            tell(partial(done.set_exception, error))
        else:
            tell(partial(done.set_result, result))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
