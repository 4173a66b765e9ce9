"""`stream-manager restart|stop|start|reset`: an operator's commands to one stream."""

from pathlib import Path
from typing import Annotated

import typer

from stream_manager.cli.client import ConfigOption, UrlOption, connect

Stream = Annotated[str, typer.Argument(metavar="STREAM")]


def restart(stream: Stream, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Tear STREAM down and start it again, with its counters cleared."""
    _command(stream, "restart", config, url)


def stop(stream: Stream, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Stop STREAM, until `start`: also over restarts of the manager."""
    _command(stream, "stop", config, url)


def start(stream: Stream, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Start STREAM again after `stop`."""
    _command(stream, "start", config, url)


def reset(stream: Stream, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Clear STREAM's counters, and try at once if it waits or has failed."""
    _command(stream, "reset", config, url)


def _command(stream: str, verb: str, config: Path | None, url: str | None) -> None:
    with connect(config, url) as client:
        client.post(f"streams/{stream}/{verb}")
    typer.echo(f"{stream}: {verb} accepted")
