"""`stream-manager check`: judges a configuration and starts nothing."""

import os
from pathlib import Path
from typing import Annotated

import typer


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
) -> None:
    """Validate CONFIG and start nothing.

    Every error comes with its file, line, key, and what was expected.
    """
    from stream_manager.config import check as judge

    verdict = judge(config, os.environ)
    for line in verdict.lines:
        typer.echo(line, err=verdict.exit_code != 0)
    raise typer.Exit(verdict.exit_code)
