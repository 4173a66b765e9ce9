"""How the demo looks: a story line by line, on a terminal above a live table of the streams."""

from collections.abc import Iterator
from functools import partial
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream_manager.cli.printing import show
from stream_manager.cli.table import draw
from stream_manager.cli.typed import command
from stream_manager.cli.words import at, plain
from stream_manager.clock import Clock
from stream_manager.lab.demo_results import CONFIG, LOG, RECORDINGS, Json, Outcome, Verdict
from stream_manager.lab.demo_story import Beat

REFRESHES_PER_S = 8

_STYLES = {
    Beat.STEP: "",
    Beat.FAULT: "bold red",
    Beat.NOTICED: "yellow",
    Beat.HEALED: "green",
    Beat.LOST: "bold white on red",
}


class Lines:
    """The story alone, for a file or a pipe."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock

    def tell(self, beat: Beat, line: str) -> None:
        """Print the line with the time of day."""
        now = self._clock.wall()
        if beat is Beat.FAULT:
            self._console.print()
        self._print(Text(at(now, now), style="dim"), Text(plain(line), style=_STYLES[beat]))

    def show(self, status: Json) -> None:
        """Lines stay where they are: a status that changes has no place among them."""

    def _print(self, when: Text, said: Text) -> None:
        self._console.print(Text.assemble(when, "  ", said), soft_wrap=True)


class Screen(Lines):
    """The story, and below it the table that `status` draws, up to date. A context manager."""

    def __init__(self, console: Console, clock: Clock) -> None:
        super().__init__(console, clock)
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_S, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: Json) -> None:
        """Draw the table anew."""
        table = draw(
            status,
            now=self._clock.wall(),
            width=self._console.width,
            command=partial(command, config=None),
        )
        self._live.update(Group(Text(), *table))

    def _print(self, when: Text, said: Text) -> None:
        line = Table.grid(padding=(0, 2, 0, 0))  # what is long goes on below its beginning
        line.add_column(no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(when, said)
        self._console.print(line)


def show_conclusion(console: Console, verdict: Verdict) -> None:
    """Print what came of it, and where everything is."""
    for part in _conclusion(verdict):
        if isinstance(part, Text):
            console.print(part, soft_wrap=True)  # paths are there to be copied
        else:
            show(console, [part])


def _conclusion(verdict: Verdict) -> Iterator[RenderableType]:
    yield Text()
    yield _faults(verdict.outcomes)
    yield Text()
    for it in verdict.recordings:
        frames = "frames not counted: ffprobe is missing"
        if it.frames is not None:
            frames = f"{it.frames} frames decode"
        yield Text(f"{it.stream}: {it.files} files, {it.size_bytes / 1e6:.1f} MB, {frames}")
    yield Text()
    config, folder = verdict.folder / CONFIG, verdict.folder
    yield Text(f"recordings   {folder / RECORDINGS}")
    yield Text(f"log          {folder / LOG}")
    yield Text(f"journal      {command('journal', config)}")
    yield Text(f"gaps         {command('segments gaps', config)}")
    for flaw in verdict.flaws:
        yield Text(plain(flaw), style=_STYLES[Beat.LOST])


def _faults(outcomes: tuple[Outcome, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("FAULT", "STREAM"):
        table.add_column(title, no_wrap=True)
    for title in ("DETECTED AFTER", "OUTAGE"):
        table.add_column(title, no_wrap=True, justify="right")
    for title in ("AS", "DECIDED"):
        table.add_column(title, overflow="fold")
    for it in outcomes:
        found = it.detection
        table.add_row(
            it.scenario.title,
            it.scenario.stream,
            "never" if found is None else f"{found.after_s:.2f} s",
            Text(f"{it.outage_s:.2f} s", style=_STYLES[Beat.HEALED if it.healed else Beat.LOST]),
            ", then ".join(it.causes) or "-",
            it.decided,
        )
    return table
