"""`stream-manager status`: one row a stream."""

import json
from functools import partial

import typer

from stream_manager.cli.client import ConfigOption, JsonOption, UrlOption, connect


def status(
    *, as_json: JsonOption = False, config: ConfigOption = None, url: UrlOption = None
) -> None:
    """Show how each stream is, one row each."""
    with connect(config, url) as client:
        answer = client.get("status")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from rich.console import Console

    from stream_manager.cli.printing import room, show
    from stream_manager.cli.table import draw
    from stream_manager.cli.typed import command
    from stream_manager.clock import SystemClock

    console = Console(highlight=False)
    drawn = draw(
        answer,
        now=SystemClock().wall(),
        width=room(console),
        command=partial(command, config=config, url=url),
    )
    show(console, drawn)
