"""`stream-manager doctor`: what this machine lacks, and the mend."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.cli.client import JsonOption
from stream_manager.cli.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream_manager.doctor import Finding

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "cyan"}


def doctor(
    *,
    as_json: JsonOption = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Look at its directories and volumes too."),
    ] = None,
) -> None:
    """Say what this machine lacks, and the mend.

    Exit code 1: something will not work. What can't be found out reads "unknown".
    """
    from stream_manager.doctor import Level, diagnose

    findings = diagnose(config, os.environ)
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        typer.echo("\n".join(_lines(findings)))
    raise typer.Exit(any(finding.level is Level.PROBLEM for finding in findings))


def _lines(findings: "Sequence[Finding]") -> "Iterator[str]":
    """Yield a line for each finding, its mend below it, and the sum."""
    wide = max(len(finding.check) for finding in findings)
    for finding in findings:
        level = finding.level.value
        name = typer.style(level.ljust(len("problem")), fg=_STYLES[level], bold=level != "ok")
        yield f"{name}  {finding.check.ljust(wide)}  {plain(finding.found)}"
        if finding.mend:
            yield f"{'':{len('problem') + 2 + wide}}  mend: {plain(finding.mend)}"
    numbers = Counter(finding.level.value for finding in findings)
    yield (
        f"\n{numbers['ok']} ok, {numbers['warning']} to be aware of,"
        f" {numbers['problem']} to be mended, {numbers['unknown']} unknown"
    )
