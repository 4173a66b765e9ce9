"""The picture: how many attempts each policy makes, over time; one panel each, on one scale."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.scenarios import BEGINS_S, LASTS_S, Scenario
from stream_manager.lab.storm.world import SLOT_S

TROUBLE = "#e4e4e4"
COLOURS = ("#c0392b", "#d68910", "#2e6da4", "#1e8449")
WIDTH_INCHES, PANEL_INCHES, FRAME_INCHES, DPI = 10, 1.5, 1.2, 120
COLUMNS = 800  # a picture has no room for more slots than that: of some together the most is shown
MARGIN_S = 3.0


def draw(path: Path, scenario: Scenario, compared: Sequence[Figures]) -> None:
    """Write the picture as PNG; the same figures give the same file."""
    figure = Figure(
        figsize=(WIDTH_INCHES, FRAME_INCHES + PANEL_INCHES * len(compared)),
        layout="constrained",
    )
    panels = figure.subplots(len(compared), sharex=True, sharey=True, squeeze=False)[:, 0]
    last_s = max((slot * SLOT_S for it in compared for slot in it.attempts), default=BEGINS_S)
    for axes, it, colour in zip(panels, compared, COLOURS, strict=False):
        _panel(axes, it, colour, until_s=min(last_s + MARGIN_S, LASTS_S))
        _shade(axes, scenario)
    panels[0].set_xlim(-MARGIN_S, min(last_s + 2 * MARGIN_S, LASTS_S) - BEGINS_S)
    panels[0].set_yscale("log")
    panels[0].set_ylim(0.8, 1.5 * max(1, *(it.peak for it in compared)))
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panels[-1].set_xlabel("seconds since the first trouble began; grey: while a trouble lasts")
    figure.supylabel("attempts per 100 ms", fontsize="medium")
    figure.suptitle(f"{scenario.name.value}, {scenario.components:,} components: {scenario.says}")
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _panel(axes: Axes, it: Figures, colour: str, *, until_s: float) -> None:
    first, last = int(BEGINS_S / SLOT_S), int(until_s / SLOT_S)
    together = 1 + (last - first) // COLUMNS
    starts = range(first, last + 1, together)
    most = [max(it.attempts.get(slot + n, 0) for n in range(together)) for slot in starts]
    edges_s = [slot * SLOT_S - BEGINS_S for slot in (*starts, starts[-1] + together)]
    axes.stairs(most, edges_s, baseline=0.1, fill=True, color=colour, linewidth=0, zorder=2)
    axes.set_title(
        f"{it.name}: {it.attempts_total:,} attempts, at most {it.peak:,} in 100 ms",
        loc="left",
        fontsize="medium",
        color=colour,
    )
    axes.grid(axis="y", color="#ffffff", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shade(axes: Axes, scenario: Scenario) -> None:
    """Shade the time of each trouble; what overlaps is one area, no darker than the others."""
    end_s = 0.0
    for trouble in sorted(scenario.troubles, key=lambda it: it.begins_s):
        begins_s, ends_s = max(trouble.begins_s, end_s), min(trouble.ends_s, LASTS_S)
        if ends_s > begins_s:
            axes.axvspan(begins_s - BEGINS_S, ends_s - BEGINS_S, color=TROUBLE, lw=0, zorder=0)
            end_s = ends_s
