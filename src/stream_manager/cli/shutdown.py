"""`stream-manager shutdown`: stops manager and workers."""

import time

import typer

from stream_manager.cli.client import Client, ConfigOption, NoManager, UrlOption, connect
from stream_manager.errors import OutsideError

GONE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1


def shutdown(config: ConfigOption = None, url: UrlOption = None) -> None:
    """Stop the manager and all its workers.

    Returns when they are gone.
    """
    with connect(config, url) as client:
        client.post("shutdown")
        for _ in range(round(GONE_WITHIN_S / LOOK_EVERY_S)):
            if not _answers(client):
                typer.echo("the manager has stopped")
                return
            time.sleep(LOOK_EVERY_S)
    raise OutsideError(f"the manager still answers after {GONE_WITHIN_S:g} s; look into its log")


def _answers(client: Client) -> bool:
    try:
        client.get("status")
    except NoManager:
        return False
    return True
