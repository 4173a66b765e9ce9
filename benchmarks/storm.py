"""Storms on a virtual clock: what each policy costs, and how fast the engine decides about many."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from math import inf

from benchmarks.figures import Figure, Plot, Subject, Table, Tell
from benchmarks.report import number
from stream_manager.lab.storm.contenders import POLICY, Contender, contenders
from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.picture import draw
from stream_manager.lab.storm.scenarios import Name, scenario
from stream_manager.lab.storm.simulation import simulate

COMPONENTS = 1000
MANY = 100_000
SEEDS, OTHER_SEEDS = 20, 5  # of the site's outage, which has targets, and of the other scenarios
# As it is without domains and incidents; and as it is with the proof that streams have.
EQUAL = Contender(name="equal jitter", policy=POLICY)
PROVED = Contender(
    name="ours, proved for 1 s", policy=replace(POLICY, verify_for_s=1.0), domains=True
)
*USUAL, OURS = contenders(POLICY)
PLAYERS = (*USUAL, EQUAL, OURS, PROVED)

ATTEMPTS_AT_MOST = 1100
P99_S_AT_MOST = 3.0
RAMP = 200  # attempts in 100 ms
MANY_S_AT_MOST = 60.0
MANY_MIB_AT_MOST = 1.5 * 1024


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Play each scenario with each policy and many seeds; then one outage of very many."""
    seeds = dict.fromkeys(Name, 1 if quick else OTHER_SEEDS)
    seeds[Name.SITE_OUTAGE] = 3 if quick else SEEDS
    played = {
        (name, player.name): [_play(name, player, 1 + n, tell) for n in range(seeds[name])]
        for name in Name
        for player in PLAYERS
    }
    proved = played[Name.SITE_OUTAGE, PROVED.name]
    costs = {count: _cost(count, tell) for count in (COMPONENTS, MANY)}
    ours = played[Name.SITE_OUTAGE, OURS.name]
    shown = scenario(Name.SITE_OUTAGE, COMPONENTS, 1)
    return Subject(
        title=f"Storms: {COMPONENTS:,} components on a virtual clock",
        figures=(
            *_figures(ours, proved, played[Name.SITE_OUTAGE, EQUAL.name]),
            *_speed(costs),
        ),
        notes=(
            "Base 1 s, cap 10 s.",
            f"Medians of {seeds[Name.SITE_OUTAGE]} seeds; without a target {seeds[Name.FLAPPING]}.",
            "Recovery: from the trouble's end to proved, that is 100 ms after a start.",
            "Proved for 1 s: as is the default for streams; it comes twice, once for the probe.",
            "First media: of the run that was then proved; there an outage is over.",
            "A site or host takes up 250 starts in 100 ms and refuses the others.",
        ),
        table=_table(played),
        plot=Plot(
            name="storm.png",
            shows="attempts per 100 ms over time, a panel for each policy",
            draw=lambda path: draw(
                path, shown, [simulate(shown, player, 1) for player in contenders(POLICY)]
            ),
        ),
    )


def _play(name: Name, player: Contender, seed: int, tell: Tell) -> Figures:
    tell(f"storm: {name.value}, {player.name}, seed {seed}")
    return simulate(scenario(name, COMPONENTS, seed), player, seed)


def _figures(
    ours: Sequence[Figures], proved: Sequence[Figures], equal: Sequence[Figures]
) -> list[Figure]:
    return [
        *_outage("ours", ours, attempts_at_most=ATTEMPTS_AT_MOST, p99_s_at_most=P99_S_AT_MOST),
        Figure(
            name="site-outage, ours: most attempts in 100 ms",
            unit="",
            samples=tuple(it.peak for it in ours),
            p99_at_most=RAMP,
        ),
        Figure(
            name="site-outage, ours, proved for 1 s: p99 recovery",
            unit="s",
            samples=tuple(it.recovery_s(0.99) or inf for it in proved),
        ),
        Figure(
            name="site-outage, ours, proved for 1 s: p99 to first media",
            unit="s",
            samples=tuple(it.media_s(0.99) or inf for it in proved),
            median_at_most=P99_S_AT_MOST,
        ),
        *_outage("equal jitter alone", equal),
    ]


def _outage(
    who: str,
    runs: Sequence[Figures],
    *,
    attempts_at_most: float | None = None,
    p99_s_at_most: float | None = None,
) -> tuple[Figure, Figure]:
    """Return what a site's outage costs one policy."""
    return (
        Figure(
            name=f"site-outage, {who}: attempts",
            unit="",
            samples=tuple(it.attempts_total for it in runs),
            median_at_most=attempts_at_most,
        ),
        Figure(
            name=f"site-outage, {who}: p99 recovery",
            unit="s",
            samples=tuple(it.recovery_s(0.99) or inf for it in runs),
            median_at_most=p99_s_at_most,
        ),
    )


def _cost(components: int, tell: Tell) -> tuple[float, float, float]:
    """Play an outage of so many in a process of its own; return seconds, MiB, and µs a decision."""
    tell(f"storm: site-outage of {components:,}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_timed, components).result()


def _timed(components: int) -> tuple[float, float, float]:
    it = scenario(Name.SITE_OUTAGE, components, 1)
    began_s = time.process_time()
    decisions = simulate(it, OURS, 1).decisions
    took_s = time.process_time() - began_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return took_s, peak_mib, took_s / decisions * 1e6


def _speed(costs: dict[int, tuple[float, float, float]]) -> list[Figure]:
    many_s, many_mib, _ = costs[MANY]
    return [
        Figure(
            name=f"site-outage of {MANY:,}, an hour: processor time",
            unit="s",
            samples=(many_s,),
            median_at_most=MANY_S_AT_MOST,
        ),
        Figure(
            name=f"site-outage of {MANY:,}, an hour: memory",
            unit="MiB",
            samples=(many_mib,),
            median_at_most=MANY_MIB_AT_MOST,
        ),
        *(
            Figure(name=f"site-outage of {count:,}: a decision", unit="µs", samples=(cost_us,))
            for count, (_, _, cost_us) in costs.items()
        ),
    ]


def _table(played: dict[tuple[Name, str], list[Figures]]) -> Table:
    titles = (
        *("scenario", "policy", "attempts", "peak in 100 ms"),
        *("recovery p50", "recovery p99", "false give-ups"),
    )
    rows = [
        (
            name.value,
            player,
            number(statistics.median(it.attempts_total for it in runs)),
            number(statistics.median(it.peak for it in runs)),
            _seconds([it.recovery_s(0.5) or inf for it in runs]),
            _seconds([it.recovery_s(0.99) or inf for it in runs]),
            number(statistics.median(it.false_give_ups for it in runs)),
        )
        for (name, player), runs in played.items()
    ]
    return Table(rows=(titles, *rows), right=frozenset(titles[2:]))


def _seconds(samples_s: Sequence[float]) -> str:
    return f"{statistics.median(samples_s):.2f} s"
