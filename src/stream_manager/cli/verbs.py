"""`stream-manager restart|stop|start|reset`: an operator's commands to one stream."""

from pathlib import Path

import typer

from stream_manager.cli.client import ConfigOption, StreamArgument, UrlOption, connect


def restart(stream: StreamArgument, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Tear STREAM down and start it again."""
    _command(stream, "restart", config, url)


def stop(stream: StreamArgument, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Stop STREAM until `start`.

    It stays stopped when the manager is restarted.
    """
    _command(stream, "stop", config, url)


def start(stream: StreamArgument, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Start STREAM again after `stop`."""
    _command(stream, "start", config, url)


def reset(stream: StreamArgument, config: ConfigOption = None, url: UrlOption = None) -> None:
    """Forget STREAM's failures and try at once.

    A stream that runs goes on.
    """
    _command(stream, "reset", config, url)


def _command(stream: str, verb: str, config: Path | None, url: str | None) -> None:
    with connect(config, url) as client:
        client.post(f"streams/{stream}/{verb}")
    typer.echo(f"{stream}: {verb} accepted")
