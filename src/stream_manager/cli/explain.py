"""`stream-manager explain`: why a stream is in its state."""

import json

import typer

from stream_manager.cli.client import ConfigOption, JsonOption, StreamArgument, UrlOption, connect
from stream_manager.cli.typed import pasteable
from stream_manager.cli.words import plain, without_debug


def explain(
    stream: StreamArgument,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Say why STREAM is as it is, what was tried, what is next."""
    with connect(config, url) as client:
        answer = client.get(f"streams/{stream}/explain")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        typer.echo(
            "\n".join(
                pasteable(plain(without_debug(it)), config, url) for it in answer["sentences"]
            )
        )
