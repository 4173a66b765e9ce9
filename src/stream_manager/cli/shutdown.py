"""`stream-manager shutdown`: stops manager and workers."""

from typing import TYPE_CHECKING

import typer

from stream_manager.cli.client import Client, ConfigOption, NoManager, UrlOption, connect
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

    with connect(config, url) as client:
        client.post("shutdown")
        asyncio.run(_until_gone(client, SystemClock()))
    typer.echo("the manager has stopped")


async def _until_gone(client: Client, clock: "Clock") -> None:
    deadline_s = clock.monotonic_s() + GONE_WITHIN_S
    while _answers(client):
        if clock.monotonic_s() > deadline_s:
            raise OutsideError(
                f"the manager still answers after {GONE_WITHIN_S:g} s; look into its log"
            )
        await clock.sleep(LOOK_EVERY_S)


def _answers(client: Client) -> bool:
    try:
        client.get("status")
    except NoManager:
        return False
    return True
