"""The picture: how many attempts each policy makes, over time; one panel each, on one scale."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.scenarios import BEGINS_S, LASTS_S, Scenario
from stream_manager.lab.storm.world import SLOT_S

_FIRST = int(BEGINS_S / SLOT_S)
TROUBLE = "#e4e4e4"
COLOURS = ("#c0392b", "#d68910", "#2e6da4", "#1e8449")  # as many as are compared
WIDTH_INCHES, PANEL_INCHES, FRAME_INCHES, DPI = 10, 1.5, 1.2, 120
COLUMNS = 800  # a picture has no room for more slots than that: of some together the most is shown
MARGIN = 0.04  # of the time shown, on either side


def draw(path: Path, scenario: Scenario, compared: Sequence[Figures]) -> None:
    """Write the picture as PNG; the same figures give the same file."""
    figure = Figure(
        figsize=(WIDTH_INCHES, FRAME_INCHES + PANEL_INCHES * len(compared)),
        layout="constrained",
    )
    panels = figure.subplots(len(compared), sharex=True, sharey=True, squeeze=False)[:, 0]
    ends_s = max((slot + 1) * SLOT_S for it in compared for slot in (*it.attempts, _FIRST))
    for axes, it, colour in zip(panels, compared, COLOURS, strict=True):
        _panel(axes, it, colour, int(ends_s / SLOT_S))
        _shade(axes, scenario)
    margin_s = MARGIN * (ends_s - BEGINS_S)
    panels[0].set_xlim(-margin_s, ends_s - BEGINS_S + margin_s)
    panels[0].set_yscale("log")
    panels[0].set_ylim(0.8, 1.5 * max(1, *(it.peak for it in compared)))
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panels[-1].set_xlabel("seconds since the first trouble began; grey: while a trouble lasts")
    figure.supylabel("attempts per 100 ms", fontsize="medium")
    figure.suptitle(f"{scenario.name.value}, {scenario.components:,} components: {scenario.says}")
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _panel(axes: Axes, it: Figures, colour: str, last: int) -> None:
    together = 1 + (last - _FIRST) // COLUMNS
    slots = range(_FIRST, last + 1, together)
    most = [max(it.attempts.get(slot + n, 0) for n in range(together)) for slot in slots]
    edges_s = [slot * SLOT_S - BEGINS_S for slot in (*slots, slots[-1] + together)]
    axes.stairs(most, edges_s, baseline=0.1, fill=True, color=colour, linewidth=0, zorder=2)
    axes.set_title(_title(it), loc="left", fontsize="medium", color=colour)
    axes.grid(axis="y", color="#ffffff", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _title(it: Figures) -> str:
    made = f"{it.name}: {it.attempts_total:,} attempts, at most {it.peak:,} in 100 ms"
    p99_s = it.recovery_s(0.99)
    if p99_s is None:
        return made
    return f"{made}; 99 % back " + (f"after {p99_s:,.1f} s" if isfinite(p99_s) else "never")


def _shade(axes: Axes, scenario: Scenario) -> None:
    """Shade the time of each trouble; what overlaps is one area, no darker than the others."""
    end_s = 0.0
    for trouble in sorted(scenario.troubles, key=lambda it: it.begins_s):
        begins_s, ends_s = max(trouble.begins_s, end_s), min(trouble.ends_s, LASTS_S)
        if ends_s > begins_s:
            axes.axvspan(begins_s - BEGINS_S, ends_s - BEGINS_S, color=TROUBLE, lw=0, zorder=0)
            end_s = ends_s
