"""`stream-manager shutdown`: stops manager and workers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from stream_manager.cli.client import (
    Client,
    ConfigOption,
    NoManager,
    UrlOption,
    connect,
    runtime_dir,
)
from stream_manager.errors import OutsideError

if TYPE_CHECKING:
    from stream_manager.clock import Clock

GONE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1


def shutdown(config: ConfigOption = None, url: UrlOption = None) -> None:
    """Stop the manager and all its workers.

    Returns when they are gone.
    """
    import asyncio

    from stream_manager.clock import SystemClock
    from stream_manager.store import is_locked

    with connect(config, url) as client:
        client.post("shutdown")
        asyncio.run(_until(lambda: not _answers(client), SystemClock()))
    if url is None:
        # The lock goes last, and with it the next manager can start.
        directory = runtime_dir(config)
        asyncio.run(_until(lambda: not is_locked(directory), SystemClock()))
    typer.echo("the manager has stopped")


async def _until(gone: Callable[[], bool], clock: "Clock") -> None:
    deadline_s = clock.monotonic_s() + GONE_WITHIN_S
    while not gone():
        if clock.monotonic_s() > deadline_s:
            raise OutsideError(
                f"the manager is still there after {GONE_WITHIN_S:g} s; look into its log"
            )
        await clock.sleep(LOOK_EVERY_S)


def _answers(client: Client) -> bool:
    try:
        client.get("status")
    except NoManager:
        return False
    return True
