"""`stream-manager incident`: what was kept of an outage of a stream, or of an output's failure."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_manager.cli.client import ConfigOption, JsonOption, UrlOption, state_dir
from stream_manager.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from stream_manager.evidence import Case
    from stream_manager.store import Entry

# Of the journal, the stream's entries before and after the fault.
BEFORE, AFTER = 5, 40

incident = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@incident.command("list")
def list_incidents(
    stream: Annotated[str | None, typer.Argument(metavar="[STREAM]")] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Show the incidents of which something is kept, the newest last."""
    from stream_manager.cli.incident_view import list_line
    from stream_manager.evidence import read_cases
    from stream_manager.evidence.shelf import NAME, to_json

    cases = read_cases(state_dir(config, url) / NAME)
    found = [it for it in cases if stream in (None, it.stream)]
    if as_json:
        typer.echo(json.dumps([to_json(it.first) for it in found], indent=2))
        return
    for case in found:
        typer.echo(list_line(case))
    if not found:
        typer.echo("nothing is kept: no stream has failed" if stream is None else _none_of(stream))


@incident.command()
def show(
    number: Annotated[int, typer.Argument(min=1, metavar="N")],
    *,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Write all of it to a new tar.gz."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Show incident N: what failed, how its process ended, stacks, threads, log and journal.

    Passwords stand in none of it.
    """
    from stream_manager.cli.incident_view import show_lines
    from stream_manager.cli.journal import entry_line
    from stream_manager.evidence import read_case
    from stream_manager.evidence.shelf import NAME, to_json

    where = state_dir(config, url)
    case = read_case(where / NAME, number)
    if case is None:
        raise UsageError(
            f"nothing is kept of an incident {number}; stream-manager incident list shows those"
            " that there are"
        )
    entries = _journal(where, case)
    files = {kept.seq: _texts(folder) for kept, folder in case.findings}
    if bundle is not None:
        journal = "".join(f"{entry_line(it.to_json())}\n" for it in entries)
        _bundle(case, bundle, journal)
    elif as_json:
        found = [{**to_json(kept), "files": files[kept.seq]} for kept, _ in case.findings]
        journalled = [it.to_json() for it in entries]
        answer: dict[str, Any] = {"number": number, "findings": found, "journal": journalled}
        typer.echo(json.dumps(answer, indent=2))
    else:
        for line in show_lines(case, files):
            typer.echo(line)
        for entry in entries:
            typer.echo(f"  {entry_line(entry.to_json())}")


def _none_of(stream: str) -> str:
    return f'nothing is kept of a failure of "{stream}"'


def _journal(where: Path, case: "Case") -> "list[Entry]":
    """Return the entries of the stream around the incident; none where the journal is gone."""
    from stream_manager.store import read_journal

    try:
        found = read_journal(
            where, stream=case.stream, after=max(0, case.number - 10 * BEFORE), limit=10 * AFTER
        )
    except OutsideError as error:
        typer.echo(error, err=True)
        return []
    before = [it for it in found if it.seq < case.number]
    return before[-BEFORE:] + [it for it in found if it.seq >= case.number][:AFTER]


def _texts(folder: Path) -> dict[str, str]:
    from stream_manager.evidence.shelf import FACTS

    return {
        file.name: file.read_text(encoding="utf-8", errors="replace")
        for file in sorted(folder.iterdir())
        if file.name != FACTS
    }


def _bundle(case: "Case", path: Path, journal: str) -> None:
    from stream_manager.evidence import write_bundle

    try:
        names = write_bundle(case, path, {"journal.txt": journal})
    except FileExistsError as error:
        raise UsageError(f"{path} exists already: name a new file") from error
    except OSError as error:
        raise OutsideError(f"{path} can't be written: {error.strerror}") from error
    if not any(name.endswith(".svg") for name in names):
        typer.echo("the graphs are not drawn: that takes Graphviz (apt install graphviz)", err=True)
    typer.echo(f"{path}: {len(names)} files")
