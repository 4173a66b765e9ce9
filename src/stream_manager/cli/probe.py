"""`stream-manager probe`: what a source is, and the table that a configuration needs of it."""

import json
import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.cli.client import JsonOption
from stream_manager.cli.typed import program
from stream_manager.cli.words import plain, without_debug
from stream_manager.errors import OutsideError

if TYPE_CHECKING:
    from stream_manager.probe import Target


class Transport(StrEnum):
    """How RTSP carries media."""

    TCP = "tcp"
    UDP = "udp"


def probe(
    url: Annotated[str, typer.Argument(metavar="URL", help="rtsp://…, file:PATH or test:")],
    *,
    transport: Annotated[
        Transport | None, typer.Option(help="How RTSP carries media.", show_default="tcp")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Watch for so long.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Show a source's codecs and rates, and a table for CONFIG.

    All of stdout is TOML, the facts as comments, so that >> cameras.toml takes it. Write a password
    as '${NAME}', in single quotes, and export NAME: what stands in a command line others can read.
    Exit code 1: the source gave no media.
    """
    from stream_manager.cli.probe_text import lines
    from stream_manager.pipelines.findings import Findings, Look
    from stream_manager.probe import facts, judge, look, read_target

    target = read_target(
        url,
        environ=os.environ,
        directory=Path.cwd(),
        transport=None if transport is None else transport.value,
    )
    if target.exports:
        _hide_command_line(target)
    answer = look(Look(source=target.source, seconds=seconds, secrets=target.secrets))
    if isinstance(answer, Findings):
        found = facts(target, answer)
        typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
        return
    verdict = judge(answer, target.source)
    if as_json:
        typer.echo(json.dumps({"source": target.text, "fault": verdict.to_json()}, indent=2))
        raise typer.Exit(1)
    said = [f"it said: {without_debug(verdict.said)}"] if verdict.said else []
    what = f"{target.text}: {verdict.cause}: {verdict.what}"
    raise OutsideError("\n".join(map(plain, [what, *said, f"mend: {verdict.mend}"])))


def _hide_command_line(target: "Target") -> None:
    """Take the secret out of what `ps` shows, and say that it was there."""
    from setproctitle import setproctitle

    setproctitle(f"stream-manager probe {target.text}")
    typer.echo(
        "warning: the password stood in the command line, where other users and the shell's"
        f" history see it; better: export {' and '.join(target.exports)}, then:"
        f" {program()} probe {shlex.quote(target.text)}",
        err=True,
    )
