"""Random worlds for as long as there is time, and a few of a thousand members each."""

import os
import time
from random import Random

import pytest
from tests.scenarios.casts import EAGER
from tests.scenarios.lives import played
from tests.scenarios.scripts import play, script
from tests.scenarios.worlds import World

from stream_manager.recovery import Spec

MEMBERS = 1000
STEPS = 60


def test_no_seed_breaks_a_law(soak_s: float) -> None:
    """Seeds that nobody has seen; SOAK_SEED says from which one on."""
    seed = int(os.environ.get("SOAK_SEED", str(time.time_ns() // 10**6)))
    end_s = time.monotonic() + soak_s
    while time.monotonic() < end_s:
        played(seed)
        seed += 1


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_members_keep_the_laws(seed: int) -> None:
    """Two hosts of one subnet break, come back and break again: all recover, along their ramps."""
    chance = Random(seed)
    specs = [
        Spec(id=f"cam{it}", policy=EAGER, domains=(f"host:{'ab'[it % 2]}", "subnet:s", "node"))
        for it in range(MEMBERS)
    ]
    world = World(specs, chance.random)
    world.answers_all()
    for step in script(chance, STEPS):
        play(world, step)
    world.turns_good()
    world.stops(chance)
