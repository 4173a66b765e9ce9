"""`stream-manager lab proxy`: a network that can be disturbed, in front of a camera."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.errors import OutsideError

if TYPE_CHECKING:
    from stream_manager.lab.network.facts import Fact

STDOUT = 1


def _show_faults(*, wanted: bool) -> None:
    if wanted:
        from stream_manager.lab.faults import usage
        from stream_manager.lab.network.faults import NETWORK_FAULTS

        typer.echo("\n".join(usage(NETWORK_FAULTS)))
        raise typer.Exit


def proxy(
    *,
    listen: Annotated[
        str, typer.Option(metavar="[HOST:]PORT", help="Where viewers connect; 0: a free port.")
    ],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where their connections go.")],
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="ORDER", help="A fault from the start; may be repeated."),
    ] = None,
    control: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Take orders on this Unix socket too.")
    ] = None,
    _faults: Annotated[
        bool,
        typer.Option(
            "--list-faults", callback=_show_faults, is_eager=True, help="Show all faults and exit."
        ),
    ] = False,
) -> None:
    """Run a simulated network that has faults on order.

    ORDER is NAME [key=value …] [after=DURATION] [for=DURATION]. More orders are taken as lines on
    stdin; "heal" ends all faults, "heal NAME" one. What happens is told on stdout, a line of JSON
    each. SIGINT or SIGTERM ends it.
    """
    from stream_manager.lab.console import Console
    from stream_manager.lab.network.places import place
    from stream_manager.lab.proxy import Proxy
    from stream_manager.lab.record import ErrorFact, to_json

    lost: list[str] = []

    def say(line: str) -> None:
        try:
            os.write(STDOUT, f"{line}\n".encode())  # in one call, from whatever thread
        except BrokenPipeError:
            console.end()  # nobody is left who wants to know

    def tell(fact: "Fact") -> None:
        say(to_json(fact))
        if isinstance(fact, ErrorFact):
            lost.append(fact.text)
            console.end()

    host, port = place("--listen", listen)
    running = Proxy(to=to, bind=host, port=port, faults=fault or (), on_fact=tell)
    console = Console(
        running.order,
        complain=lambda line, error: say(
            json.dumps({"what": "refused", "line": line, "error": error})
        ),
        control=control,
    )
    with running:
        console.run()
    if lost:
        raise OutsideError(lost[0])
