"""`stream-manager simulate`: the recovery engine in a storm, on a virtual clock."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.cli.client import JsonOption
from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.storm.scenarios import Name

if TYPE_CHECKING:
    from stream_manager.lab.storm.contenders import Contender
    from stream_manager.lab.storm.figures import Figures
    from stream_manager.lab.storm.scenarios import Scenario
    from stream_manager.recovery import RecoveryPolicy

MOST_COMPONENTS = 1_000_000


def simulate(
    *,
    scenario: Annotated[Name, typer.Option(help="What happens to the components.")],
    components: Annotated[
        int, typer.Option(min=1, max=MOST_COMPONENTS, metavar="N", help="How many there are.")
    ] = 1000,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same result.")
    ] = 1,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML with the keys of [recovery]."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Play it with three other policies too.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Draw all four policies; implies --compare."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a scenario to the real recovery engine, on a virtual clock, for an hour.

    site-outage: the site that all are at can't be reached for 30 s.

    rolling-reboot: hosts of 100 reboot one after another, 30 s each.

    flapping: the site that all are at can't be reached for 10 s, six times, every 30 s.

    disk-full: every other component writes to a volume that is full for 120 s.

    crash-loop: 1 of 100 crashes for ever, 1 to 3 s after each start; 4 do so for 120 s.

    Told are the attempts (starts since the first trouble began), the most of them in 100 ms, how
    long after the trouble's end components were proved again, and how many were given up (FAILED)
    though their trouble passes.

    Assumed: each of these times is up to a tenth longer or shorter, by the seed; what runs notices
    a trouble within 0.5 s; a start takes 20 to 60 ms, a refusal 2 to 20 ms; a site or host takes
    up 250 starts in 100 ms and refuses the others. Without --policy: backoff from 1 s to 10 s,
    verify_for 100 ms, and the defaults of [recovery]. Compared with: every 5 s, exponential
    without jitter, exponential with full jitter.
    """
    from rich.console import Console

    from stream_manager.cli.simulate_view import draw_storm, storm_to_json
    from stream_manager.lab.storm.contenders import POLICY, contenders

    recovery = POLICY if policy is None else _policy(policy)
    if plot is not None:
        _judge(plot)
    *others, ours = contenders(recovery)
    players = (*others, ours) if compare or plot is not None else (ours,)
    played, figures = _play(scenario, components, seed, players)
    if plot is not None:
        _draw(plot, played, figures)
    if as_json:
        typer.echo(json.dumps(storm_to_json(played, seed, players, figures), indent=2))
        return
    Console(highlight=False).print(*draw_storm(played, seed, figures), sep="\n")


def _policy(file: Path) -> "RecoveryPolicy":
    from stream_manager.config import load_policy

    policy, warnings = load_policy(file)
    for warning in warnings:
        typer.echo(f"{warning} (warning)", err=True)
    return policy


def _judge(plot: Path) -> None:
    """Find out whether the picture can be drawn and written, before anything is simulated."""
    if plot.suffix != ".png":
        raise UsageError(f"--plot is {str(plot)!r}: expected a name that ends in .png")
    new = not plot.exists()
    try:
        plot.open("ab").close()
    except OSError as error:
        raise UsageError(f"--plot {plot} can't be written: {error.strerror}") from error
    if new:
        plot.unlink()
    if find_spec("matplotlib") is None:
        raise OutsideError(
            "--plot needs matplotlib, which is not installed: pip install 'stream-manager[plot]'"
        )


def _play(
    name: Name, components: int, seed: int, players: Sequence["Contender"]
) -> "tuple[Scenario, list[Figures]]":
    from stream_manager.cli.progress import LateProgress
    from stream_manager.lab.storm.scenarios import scenario
    from stream_manager.lab.storm.simulation import simulate as play

    played = scenario(name, components, seed)
    total_s = int(played.busy_s)
    figures = []
    for player in players:
        with LateProgress(f"simulating {player.name}", total_s, "seconds") as progress:
            figures.append(
                play(played, player, seed, tell=lambda at_s: progress.at(min(int(at_s), total_s)))
            )
    return played, figures


def _draw(plot: Path, played: "Scenario", figures: Sequence["Figures"]) -> None:
    from stream_manager.lab.storm.picture import draw

    try:
        draw(plot, played, figures)
    except OSError as error:
        raise OutsideError(f"the plot {plot} could not be written: {error.strerror}") from error
