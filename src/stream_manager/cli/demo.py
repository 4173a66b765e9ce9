"""`stream-manager demo`: breaks streams on purpose and shows how they heal."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from stream_manager.cli.client import JsonOption


def demo(
    *,
    seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Watch that long before each fault.")
    ] = 5.0,
    clip: Annotated[
        Path | None,
        typer.Option("--clip", metavar="FILE", help="What the cameras send: H.264, H.265, MJPEG."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Record simulated cameras, break them, show how they heal.

    Everything it makes is in one new folder here, demo-DATE. Exit code 1: something did not heal.
    """
    import asyncio

    from rich.console import Console

    from stream_manager.cli.demo_view import Lines, Screen, show_conclusion
    from stream_manager.clock import SystemClock
    from stream_manager.lab.demo import footage, play

    clock = SystemClock()
    console = Console(highlight=False, quiet=as_json)
    with ExitStack() as stack:
        on_terminal = console.is_terminal and not as_json
        screen = stack.enter_context(Screen(console, clock)) if on_terminal else None
        story = play(
            screen or Lines(console, clock),
            program=Path(sys.argv[0]).absolute(),
            clip=clip or footage(),
            watch_s=seconds,
            clock=clock,
        )
        verdict = asyncio.run(story)
    if as_json:
        typer.echo(json.dumps(verdict.to_json(), indent=2))
    else:
        show_conclusion(console, verdict)
    raise typer.Exit(1 if verdict.flaws else 0)
