"""A figure: samples of one quantity, what they come to, and what they should come to."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Tell = Callable[[str], None]


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` (above 0, to 1) of all do not exceed."""
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """At least one sample of `name` in `unit`, with the most that median and p99 may be.

    Of fewer than a hundred samples the p99 is the worst. note: what a reader must know to judge it.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    median_at_most: float | None = None
    p99_at_most: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.name}: a figure needs at least one sample")

    @property
    def median(self) -> float:
        """The middle sample, or the mean of the middle two."""
        return statistics.median(self.samples)

    @property
    def p99(self) -> float:
        """The sample that 99 of 100 do not exceed."""
        return percentile(self.samples, 0.99)

    @property
    def met(self) -> bool | None:
        """Whether every target is met; None without one."""
        targets = [
            reached <= at_most
            for reached, at_most in (
                (self.median, self.median_at_most),
                (self.p99, self.p99_at_most),
            )
            if at_most is not None
        ]
        return all(targets) if targets else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells in rows, of which the first has the titles; numbers stand in the columns `right`."""

    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture beside the page: its file, what it shows, and how it is drawn."""

    name: str
    shows: str
    draw: Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one module measured. `notes` say under which conditions; `table` goes into detail."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    table: Table | None = None
    plot: Plot | None = None


def figure_in_ms(
    name: str,
    seconds: Sequence[float],
    *,
    median_at_most: float | None = None,
    p99_at_most: float | None = None,
    note: str = "",
) -> Figure:
    """Make a figure in milliseconds, the targets too, of samples in seconds."""
    return Figure(
        name=name,
        unit="ms",
        samples=tuple(sample * 1000 for sample in seconds),
        median_at_most=median_at_most,
        p99_at_most=p99_at_most,
        note=note,
    )
