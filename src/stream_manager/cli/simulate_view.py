"""What `simulate` shows: a row a policy, for people and as JSON."""

from collections.abc import Iterator, Sequence
from math import isinf
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stream_manager.lab.storm.contenders import Contender
from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.scenarios import LASTS_S, Scenario


def draw_storm(
    scenario: Scenario, seed: int, figures: Sequence[Figures]
) -> Iterator[RenderableType]:
    """Yield what to print."""
    yield Text(
        f"{scenario.name.value}, {scenario.components:,} components, seed {seed}: {scenario.says}"
    )
    yield Text()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("POLICY", no_wrap=True)
    for title in ("ATTEMPTS", "PEAK", "P50", "P99", "MEDIA P99", "NOT BACK", "FALSE GIVE-UPS"):
        table.add_column(title, no_wrap=True, justify="right")
    for it in figures:
        table.add_row(
            it.name,
            f"{it.attempts_total:,}",
            f"{it.peak:,}",
            _seconds(it.recovery_s(0.5)),
            _seconds(it.recovery_s(0.99)),
            _seconds(it.media_s(0.99)),
            f"{it.unrecovered:,}",
            f"{it.false_give_ups:,}",
        )
    yield table
    yield Text()
    yield Text(
        "PEAK: the most attempts within 100 ms. P50, P99: from the trouble's end to proved.\n"
        "MEDIA P99: to the first media of the run that was then proved, where an outage is over.\n"
        f"NOT BACK: still down after {LASTS_S / 3600:g} h, though the trouble had passed.\n"
        "FALSE GIVE-UPS: were FAILED, and could have recovered.",
        style="dim",
    )


def storm_to_json(
    scenario: Scenario, seed: int, players: Sequence[Contender], figures: Sequence[Figures]
) -> dict[str, Any]:
    """Return what to print as JSON: times in seconds, null for what never was."""
    return {
        "scenario": scenario.name.value,
        "says": scenario.says,
        "components": scenario.components,
        "seed": seed,
        "virtual_s": LASTS_S,
        "policies": [_row(player, it) for player, it in zip(players, figures, strict=True)],
    }


def _row(player: Contender, it: Figures) -> dict[str, Any]:
    backoff = player.policy.backoff
    return {
        "name": it.name,
        "backoff": {
            "base_s": backoff.base_s,
            "factor": backoff.factor,
            "cap_s": backoff.cap_s,
            "jitter": backoff.jitter,
        },
        "domains": player.domains,
        "attempts": it.attempts_total,
        "peak_per_100ms": it.peak,
        "recovery_p50_s": _finite(it.recovery_s(0.5)),
        "recovery_p99_s": _finite(it.recovery_s(0.99)),
        "media_p99_s": _finite(it.media_s(0.99)),
        "verify_for_s": it.verify_for_s,
        "not_recovered": it.unrecovered,
        "false_give_ups": it.false_give_ups,
        "decisions": it.decisions,
    }


def _finite(value_s: float | None) -> float | None:
    return None if value_s is None or isinf(value_s) else round(value_s, 3)


def _seconds(value_s: float | None) -> str:
    if value_s is None:
        return "-"
    return "never" if isinf(value_s) else f"{value_s:,.2f} s"
