"""A bar on stderr for what takes longer than a second; on a terminal only."""

from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

from stream_manager.clock import SystemClock

SHOWN_AFTER_S = 1.0


class LateProgress:
    """Shows how much of `total` is done. A context manager."""

    def __init__(self, what: str, total: int, unit: Literal["files", "bytes", "seconds"]) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total)
        self._clock = SystemClock()
        self._due_s = self._clock.monotonic_s() + SHOWN_AFTER_S
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._progress.stop()

    def at(self, done: int) -> None:
        """Show that so much is done."""
        if not self._shown and self._clock.monotonic_s() >= self._due_s:
            self._shown = True
            self._progress.start()
        if self._shown:
            self._progress.update(self._task, completed=done)
