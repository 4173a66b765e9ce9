"""`stream-manager explain`: why a stream is in its state."""

import json

import typer

from stream_manager.cli.client import ConfigOption, JsonOption, StreamArgument, UrlOption, connect
from stream_manager.cli.words import plain


def explain(
    stream: StreamArgument,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Say why STREAM is as it is, and what is next."""
    with connect(config, url) as client:
        sentences = client.get(f"streams/{stream}/explain")
    if as_json:
        typer.echo(json.dumps(sentences, indent=2))
    else:
        typer.echo("\n".join(plain(sentence) for sentence in sentences))
