"""The picture of a fault's way: from its beginning to its detection and to media again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

FAULT, UNSEEN, HEALING = "#d9d9d9", "#d62728", "#ff9f1c"
ROW_INCHES = 0.28


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One kind of fault: how long it lasted, when it was detected, when media came again."""

    name: str
    lasts_s: float
    detected_s: float
    again_s: float


def draw(path: Path, bars: Sequence[Bar]) -> None:
    """Write the bars as SVG, the first one on top; the same bars give the same file."""
    mpl.rcParams["svg.hashsalt"] = "stream-manager"
    figure = Figure(figsize=(9, 1.2 + ROW_INCHES * len(bars)), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(bars)))
    axes.barh(places, [it.lasts_s for it in bars], height=0.9, color=FAULT, label="the fault lasts")
    axes.barh(
        places, [it.detected_s for it in bars], height=0.5, color=UNSEEN, label="not detected"
    )
    axes.barh(
        places,
        [max(it.again_s - it.detected_s, 0.0) for it in bars],
        left=[it.detected_s for it in bars],
        height=0.5,
        color=HEALING,
        label="until media is recorded again",
    )
    axes.set_yticks(places, [it.name for it in bars])
    axes.invert_yaxis()
    axes.set_xlabel("seconds since the fault began (medians)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
