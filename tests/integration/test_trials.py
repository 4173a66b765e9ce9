"""Every fault of the lab, played on a real manager: its cause, its outage and its gap."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stream_manager.clock import SystemClock
from stream_manager.lab.camera_faults import CAMERA_FAULTS
from stream_manager.lab.campaign import Campaign
from stream_manager.lab.faults import parse
from stream_manager.lab.footage import make_clip
from stream_manager.lab.network.faults import NETWORK_FAULTS
from stream_manager.lab.trial_results import Result
from stream_manager.lab.trials import TRIALS, Trial

pytestmark = pytest.mark.media

STAGES = 5
# Short enough for tests, in the proportions of the defaults.
RECOVERY = """\
backoff = { base = "200ms", cap = "1s" }
budget = { restarts = 50, within = "60s" }
verify_for = "300ms"
stable_for = "2s"
start_deadline = "5s"
probe_every = "2s"
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """Play them all, five at a time; each test looks at one of them."""
    folder = tmp_path_factory.mktemp("trials")
    clip = make_clip(folder / "clip.mp4")

    async def play() -> dict[str, Result]:
        campaign = Campaign(
            Path(sys.executable).parent / "stream-manager",
            folder,
            cameras=STAGES,
            clip=clip,
            recovery=RECOVERY,
            clock=SystemClock(),
        )
        async with campaign:
            played = campaign.play(TRIALS, at_once=STAGES)
            return {result.trial.name: result async for result in played}

    return asyncio.run(play())


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_a_fault_is_called_what_it_is_and_its_gap_agrees_with_the_lab(
    results: Mapping[str, Result], trial: Trial
) -> None:
    """The journal tells the true cause, it heals, and index and wire agree within 300 ms."""
    result = results[trial.name]
    assert result.flaws() == [], result


def test_every_fault_of_the_lab_is_tried() -> None:
    """None is forgotten when one is added."""
    ordered = [order.rpartition(": ")[2] for trial in TRIALS for order in trial.orders]
    kinds = {kind.name for kind in (*CAMERA_FAULTS, *NETWORK_FAULTS)}
    assert kinds <= {line.split()[0] for line in ordered}


def test_every_order_of_a_trial_means_something() -> None:
    """A misspelt one would be found after minutes only."""
    for trial in TRIALS:
        kinds = NETWORK_FAULTS if trial.at == "network" else CAMERA_FAULTS
        for order in trial.orders if trial.at != "worker" else ():
            if ": " not in order:
                parse(f"{order} for=1s" if order == "reboot" else order, kinds)
