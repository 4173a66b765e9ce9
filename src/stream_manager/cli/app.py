"""The commands under one name, and what they have in common: exit codes, errors, broken pipes."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from stream_manager.cli.check import check
from stream_manager.cli.demo import demo
from stream_manager.cli.doctor import doctor
from stream_manager.cli.explain import explain
from stream_manager.cli.incident import incident
from stream_manager.cli.install import install
from stream_manager.cli.journal import journal
from stream_manager.cli.lab import lab
from stream_manager.cli.probe import probe
from stream_manager.cli.reload import reload
from stream_manager.cli.run import run
from stream_manager.cli.segments import segments
from stream_manager.cli.shutdown import shutdown
from stream_manager.cli.simulate import simulate
from stream_manager.cli.status import status
from stream_manager.cli.verbs import reset, restart, start, stop
from stream_manager.errors import StreamManagerError, UsageError

FAILED = 1
MISUSED = 2

app = typer.Typer(
    help="Records live video streams and heals them.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they show local variables, and with them secrets
)
COMMANDS = (
    *(run, check, probe, doctor, install),
    *(status, journal, explain, restart, stop, start, reset, reload, shutdown),
    *(demo, simulate),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(lab, name="lab")
app.add_typer(incident, name="incident", help="Shows what was kept of an outage or a failure.")
app.add_typer(segments, name="segments", help="Shows, verifies and exports what was recorded.")


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-manager {version('stream-manager')}")
        raise typer.Exit


@app.callback()
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
        app()
    except StreamManagerError as error:
        typer.echo(error, err=True)
        sys.exit(MISUSED if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Nothing may be flushed into its pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
