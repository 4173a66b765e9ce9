"""One life of a simulated world, wholly settled by its seed, and the shortest that breaks a law."""

from dataclasses import dataclass
from random import Random

from tests.scenarios.casts import cast
from tests.scenarios.worlds import Step, World, script

from stream_manager.recovery import IncidentPolicy, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    seed: int
    specs: list[Spec]
    present: int
    incidents: IncidentPolicy
    steps: list[Step]


def born(seed: int) -> Life:
    chance = Random(f"life {seed}")
    specs = cast(chance)
    return Life(
        seed=seed,
        specs=specs,
        present=max(1, len(specs) - chance.randrange(3)),
        incidents=IncidentPolicy(enforce=chance.random() < 0.9),
        steps=script(chance, chance.randrange(10, 50)),
    )


def live(life: Life) -> World:
    world = World(
        life.specs, Random(f"engine {life.seed}").random, life.incidents, present=life.present
    )
    for step in life.steps:
        world.play(step)
    world.turns_good()
    world.stops(Random(f"end {life.seed}"))
    return world
