"""`stream-manager segments`: what was recorded, what was not and why, and files of one's own."""

import json
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_manager.cli.client import (
    ConfigOption,
    JsonOption,
    UrlOption,
    connect,
    settings,
    state_dir_of,
)
from stream_manager.errors import StreamManagerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stream_manager.recordings.times import Range

OptionalStream = Annotated[str | None, typer.Argument(metavar="[STREAM]")]
TIME_HELP = '"2026-11-24 06:00:05.5", "06:00" of today, or how long ago: "10min".'
FROM = typer.Option("--from", metavar="TIME", help=TIME_HELP)
TO = typer.Option("--to", metavar="TIME", help="Until before then.")
FromOption = Annotated[str | None, FROM]
ToOption = Annotated[str | None, TO]

# What the manager adds to its index is worth no longer wait.
TELL_WITHIN_S = 1.0

segments = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@segments.command("list")
def list_segments(
    stream: OptionalStream = None,
    *,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Show each recorded file of a stream, or of all.

    Times are local; TIME may end in Z or an offset like +02:00.
    """
    from stream_manager.cli.segments_view import segment_lines
    from stream_manager.recordings.catalogue import overlaps_s, read_catalogue, segment_to_json

    state_dir, (within, _) = _state_dir(config, url), _range(since, until)
    catalogue = read_catalogue(state_dir, stream, within)
    found, volumes = catalogue.segments, catalogue.volumes
    if as_json:
        twice = zip(found, overlaps_s(found), strict=True)
        _print([segment_to_json(it, volumes) | {"overlaps_s": each_s} for it, each_s in twice])
    elif found:
        typer.echo("\n".join(segment_lines(found, volumes)))
    if not found:
        _tell_of_nothing(state_dir, stream, as_json=as_json)


@segments.command("gaps")
def list_gaps(
    stream: OptionalStream = None,
    *,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Show when nothing was recorded, and why.

    Times are local; TIME may end in Z or an offset like +02:00.
    """
    from stream_manager.cli.segments_view import gap_lines
    from stream_manager.recordings.catalogue import (
        covered,
        gap_to_json,
        read_catalogue,
        read_gaps,
    )

    state_dir, (within, now) = _state_dir(config, url), _range(since, until)
    gaps = read_gaps(state_dir, stream, within, now=now)
    if as_json:
        _print([gap_to_json(it) for it in gaps])
    elif gaps:
        typer.echo("\n".join(gap_lines(gaps, now)))
    if gaps:
        return
    catalogue = read_catalogue(state_dir, stream, within)
    if catalogue.segments:
        for name in catalogue.streams:
            typer.echo(covered(state_dir, name, within, now=now), err=as_json)
    else:
        _tell_of_nothing(state_dir, stream, as_json=as_json)


@segments.command()
def verify(
    stream: OptionalStream = None,
    *,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Compare each recorded file with the index: its size, and how it begins and ends.

    Exit code 1: a file is not what the index says. Files that the index does not know are only
    told; a running manager takes them up by itself.
    """
    from stream_manager.cli.progress import LateProgress
    from stream_manager.cli.segments_view import verdict_lines
    from stream_manager.recordings.catalogue import segment_to_json
    from stream_manager.recordings.verify import inspect, problem

    state_dir, (within, now) = _state_dir(config, url), _range(since, until)
    found = inspect(state_dir, stream, within, now=now)
    volumes, wrong = found.catalogue.volumes, []
    with LateProgress("verifying", len(found.present), "files") as progress:
        for done, segment in enumerate(found.present, start=1):
            if (text := problem(segment, volumes)) is not None:
                wrong.append((segment, text))
            progress.at(done)
    if as_json:
        states = [it.state.value for it in found.present]
        _print(
            {
                "checked": len(found.present),
                "states": {state: states.count(state) for state in sorted(set(states))},
                "wrong": [
                    {**segment_to_json(segment, volumes), "problem": text}
                    for segment, text in wrong
                ],
                "lost_volumes": [
                    {"volume": id_, "path": str(volumes[id_]), "problem": text}
                    for id_, text in found.lost.items()
                ],
                "not_indexed": [
                    {
                        "stream": it.found.name.stream,
                        "volume": it.volume,
                        "path": str(it.path),
                        "bytes": it.found.bytes,
                    }
                    for it in found.unknown
                ],
            }
        )
    else:
        typer.echo("\n".join(verdict_lines(found, wrong)))
    if not found.catalogue.segments:
        _tell_of_nothing(state_dir, stream, as_json=as_json)
    if wrong or found.lost:
        raise typer.Exit(1)


@segments.command()
def export(
    stream: Annotated[str, typer.Argument(metavar="STREAM")],
    *,
    since: Annotated[str, FROM],
    until: Annotated[str, TO],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Ends in .ts, .mkv or .mp4.")
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
) -> None:
    """Join what was recorded in a range into FILE, without re-encoding.

    FILE begins with the last keyframe at or before --from, and ends with the picture before --to.
    A position in it is wall time, to a hundredth of a second: what was not recorded is missing
    there too. FILE.json lists the segments with their SHA-256, the gaps, and when sound is lacking.
    Without a suffix FILE gets that of the recordings.
    """
    from stream_manager.cli.progress import LateProgress
    from stream_manager.cli.segments_view import export_lines, lacking_line
    from stream_manager.cli.typed import command
    from stream_manager.recordings.export import prepare, run

    state_dir, (within, now) = _state_dir(config, url), _range(since, until)
    typed = partial(command, config=config, url=url)
    wanted = prepare(state_dir, stream, within, file, now=now, command=typed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the partial file goes
    with LateProgress("exporting", 2 * wanted.bytes, "bytes") as progress:
        manifest = run(wanted, on_bytes=progress.at)
    if manifest["lacking"]:
        typer.echo(lacking_line(manifest, wanted.file), err=True)
    if as_json:
        _print(manifest)
    else:
        typer.echo("\n".join(export_lines(manifest, wanted.file, now)))


def _range(since: str | None, until: str | None) -> "tuple[Range, datetime]":
    from stream_manager.clock import SystemClock
    from stream_manager.recordings.times import range_of

    now = SystemClock().wall()
    return range_of(since, until, now=now), now


def _state_dir(config: Path | None, url: str | None) -> Path:
    """Return where the index is: as a configuration says, else as the running manager says.

    What a reader of the index must know before is told on stderr.
    """
    if config is not None and url is None:
        state_dir = settings(config).state_dir
        # Without a manager the index can be read all the same.
        with suppress(StreamManagerError), connect(config, None) as client:
            _tell_if_not_saved(client.get("status", within_s=TELL_WITHIN_S)["manager"])
    else:
        with connect(config, url) as client:
            manager = client.get("status")["manager"]
        state_dir = state_dir_of(manager)
        _tell_if_not_saved(manager)
    _tell_of_doubts(state_dir)
    return state_dir


def _tell_if_not_saved(manager: "Mapping[str, Any]") -> None:
    from stream_manager.cli.words import not_saved
    from stream_manager.clock import SystemClock

    health = manager.get("index")
    if health and health["state"] != "ok":
        typer.echo(not_saved("index of recordings", health, SystemClock().wall()), err=True)


def _tell_of_doubts(state_dir: Path) -> None:
    from stream_manager.recordings.catalogue import doubts

    for text in doubts(state_dir):
        typer.echo(text, err=True)


def _print(answer: Any) -> None:  # noqa: ANN401 - JSON
    typer.echo(json.dumps(answer, indent=2))


def _tell_of_nothing(state_dir: Path, stream: str | None, *, as_json: bool) -> None:
    from stream_manager.recordings.catalogue import extent

    typer.echo(f"nothing is recorded in this range; {extent(state_dir, stream)}", err=as_json)
