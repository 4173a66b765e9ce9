"""How tables are printed: in a terminal's width; else one line a row, with no blanks after it."""

from collections.abc import Iterable
from io import StringIO

from rich.console import Console, RenderableType
from rich.text import Text

UNBOUNDED = 100_000  # columns; rich knows no table without an edge


def room(console: Console) -> int:
    """Return how many columns a line may have: a pipe and a file take any."""
    return console.width if console.is_terminal else UNBOUNDED


def show(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print each part below the one before."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    for part in parts:
        for line in _lines(part):
            console.print(Text(line), soft_wrap=True)


def _lines(part: RenderableType) -> list[str]:
    paper = StringIO()
    Console(file=paper, width=UNBOUNDED, highlight=False, color_system=None).print(part)
    return [line.rstrip() for line in paper.getvalue().splitlines()]
