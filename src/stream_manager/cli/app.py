"""The commands under one name, and what they have in common: exit codes, errors, broken pipes."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

import typer

from stream_manager.errors import StreamManagerError, UsageError
from stream_manager.version import __version__

FAILED = 1
MISUSED = 2

# In which module of cli/ each command is: that of the command typed is imported, and no other, for
# a manager that starts anew is waited for.
COMMANDS: Mapping[str, str] = {
    **{it: it for it in ("run", "check", "probe", "doctor", "install")},
    **{it: it for it in ("status", "journal", "explain")},
    **dict.fromkeys(("restart", "stop", "start", "reset"), "verbs"),
    **{it: it for it in ("reload", "shutdown", "demo", "simulate")},
}
GROUPS: Mapping[str, str] = {
    "lab": "Simulated trouble: cameras and networks that fail on order.",
    "incident": "Shows what was kept of an outage or a failure.",
    "segments": "Shows, verifies and exports what was recorded.",
}


def _app(typed: str | None) -> typer.Typer:
    """Return the command that is typed, or all of them where none is known by that name."""
    app = typer.Typer(
        help="Records live video streams and heals them.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,  # they show local variables, and with them secrets
    )
    app.callback()(_options)
    known = typed in COMMANDS or typed in GROUPS
    for name, module in COMMANDS.items():
        if not known or name == typed:
            app.command()(_found(module, name))
    for name, text in GROUPS.items():
        if not known or name == typed:
            app.add_typer(_found(name, name), name=name, help=text)
    return app


def _found(module: str, name: str) -> Any:  # noqa: ANN401 - a command, or a group of them
    return getattr(import_module(f"stream_manager.cli.{module}"), name)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-manager {__version__}")
        raise typer.Exit


def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass  # typer wants a function to hang the option on


def main() -> None:
    """Run the command that the arguments name. Exits 0: done, 1: it failed, 2: it was misused."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?"
    try:
        _app(next(iter(sys.argv[1:]), None))()
    except StreamManagerError as error:
        typer.echo(error, err=True)
        sys.exit(MISUSED if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Nothing may be flushed into its pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
