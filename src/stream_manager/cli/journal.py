"""`stream-manager journal`: what happened, what was decided by which rule, and what came next."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from stream_manager.cli.client import (
    Client,
    ConfigOption,
    JsonOption,
    NoManager,
    UrlOption,
    connect,
    settings,
)
from stream_manager.cli.words import plain
from stream_manager.errors import OutsideError, UsageError

POLL_S = 25.0

Entry = dict[str, Any]


def journal(
    stream: Annotated[str | None, typer.Argument(metavar="STREAM")] = None,
    *,
    as_json: JsonOption = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as entries come.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 100,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Show what happened and what was decided.

    When no manager runs, this reads the store that --config names.
    """
    if not follow:
        entries = _newest(stream, limit, config, url)
        _print_all(entries, as_json=as_json)
        return
    show: Callable[[Entry], str] = json.dumps if as_json else entry_line
    with suppress(KeyboardInterrupt), connect(config, url) as client:
        _follow(client, stream, limit, show)


def _follow(client: Client, stream: str | None, limit: int, show: Callable[[Entry], str]) -> None:
    entries = client.get("journal", stream=stream, limit=limit)
    seen = 0
    while True:
        for entry in entries:
            typer.echo(show(entry))
            seen = entry["seq"]
        entries = client.get("journal", stream=stream, after=seen, wait_s=POLL_S)


def _newest(stream: str | None, limit: int, config: Path | None, url: str | None) -> list[Entry]:
    try:
        with connect(config, url) as client:
            entries: list[Entry] = client.get("journal", stream=stream, limit=limit)
            return entries
    except NoManager as error:
        if url is not None:
            raise
        if config is None:
            raise OutsideError(
                f"{error}, or read a stopped one's journal with --config CONFIG.toml"
            ) from error
    from stream_manager.store import read_journal, read_streams

    state_dir = settings(config).state_dir
    saved = read_journal(state_dir, stream=stream, limit=limit)
    if stream is not None and not saved:
        there = ", ".join(read_streams(state_dir)) or "none"
        raise UsageError(f'the journal has no entry of "{stream}"; it has entries of: {there}')
    return [entry.to_json() for entry in saved]


def _print_all(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
    else:
        for entry in entries:
            typer.echo(entry_line(entry))


def entry_line(entry: Entry) -> str:
    """Return an entry as a person reads it: when, what was decided about whom, by which rule."""
    when = datetime.fromisoformat(entry["at"]).astimezone()
    late = " (written late)" if entry["late"] else ""
    return plain(
        f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03}"
        f"  {entry['message']} [{entry['rule']}]{late}"
    )
