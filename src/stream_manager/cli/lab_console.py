"""What the lab's commands have in common: orders in, the record out, until a signal ends them."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from stream_manager.errors import OutsideError

if TYPE_CHECKING:
    from stream_manager.lab.faults import FaultKind

STDOUT = 1

FaultOption = Annotated[
    list[str] | None, typer.Option(metavar="ORDER", help="A fault from the start; may be repeated.")
]
ControlOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Take orders on this Unix socket too.")
]


class Ordered(AbstractContextManager[object], Protocol):
    """A camera or a network: it runs while it is entered, and takes orders meanwhile."""

    def order(self, line: str) -> None:
        """Obey a line; raises UsageError."""
        ...


def list_faults(show: Callable[..., None]) -> Any:  # noqa: ANN401 - as typer has it
    """Return the option that ends the command with what `show` prints if it is `wanted`."""
    return typer.Option(
        "--list-faults", callback=show, is_eager=True, help="Show all faults and exit."
    )


def show_faults(kinds: "Sequence[FaultKind]") -> None:
    """Print how each fault is ordered, and end the command."""
    from stream_manager.lab.faults import usage

    typer.echo("\n".join(usage(kinds)))
    raise typer.Exit


def run(make: Callable[[Callable[[Any], None]], Ordered], control: Path | None) -> None:
    """Run what `make` gives, which gets whom to tell each fact, until a signal or its own end.

    Raises UsageError where no socket can be made, OutsideError if it ended by itself or can't write
    to stdout, and as `make` and its start do.
    """
    from stream_manager.lab.console import Console, refuse_place
    from stream_manager.lab.record import ErrorFact, to_json

    lost: list[str] = []

    def say(line: str) -> None:
        try:
            os.write(STDOUT, f"{line}\n".encode())  # in one call, from whatever thread
        except BrokenPipeError:
            console.end()  # nobody is left who wants to know
        except OSError as error:
            lost.append(f"stdout: {error.strerror}")
            console.end()

    def tell(fact: Any) -> None:  # noqa: ANN401 - each lab has facts of its own
        say(to_json(fact))
        if isinstance(fact, ErrorFact) and fact.name is None:
            lost.append(fact.text)
            console.end()

    if control is not None:
        refuse_place(control)
    running = make(tell)
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
