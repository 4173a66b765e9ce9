"""Lives of simulated worlds, each wholly settled by its seed.

To see one, and why it ends early: python -m tests.scenarios.lives --seed 4711
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.scenarios.calls import POLICIES as BREAKERS
from tests.scenarios.casts import cast
from tests.scenarios.scripts import Step, play, script
from tests.scenarios.worlds import World

from stream_manager.recovery import BreakerPolicy, IncidentPolicy, Spec, describe

GENTLE = IncidentPolicy(members=2, ramp_first=1, ramp_most=1, ramp_step_s=1.0)
INCIDENTS = (IncidentPolicy(), IncidentPolicy(), GENTLE, GENTLE, IncidentPolicy(enforce=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Who plays, by which rules, and what happens to them; `present` are there from the start."""

    seed: int
    specs: list[Spec]
    present: int
    incidents: IncidentPolicy
    calls: BreakerPolicy
    steps: list[Step]

    def world(self) -> World:
        """Return the world before anything has happened."""
        chance = Random(f"engine {self.seed}").random
        return World(self.specs, chance, self.incidents, present=self.present, calls=self.calls)


def born(seed: int) -> Life:
    """Return the life of a seed."""
    chance = Random(f"life {seed}")
    specs = cast(chance)
    return Life(
        seed=seed,
        specs=specs,
        present=max(1, len(specs) - chance.randrange(3)),
        incidents=chance.choice(INCIDENTS),
        calls=chance.choice(BREAKERS),
        steps=script(chance, chance.randrange(10, 50)),
    )


def live(life: Life, world: World) -> World:
    """Let all of it happen, then let all be good, then stop everybody."""
    for step in life.steps:
        play(world, step)
    world.turns_good()
    world.stops(Random(f"end {life.seed}"))
    return world


def played(seed: int) -> World:
    """Play the life of a seed to its end; an error says how to see it."""
    life = born(seed)
    try:
        return live(life, life.world())
    except Exception as error:
        error.add_note(f"To see it: python -m tests.scenarios.lives --seed {seed}")
        raise


def broken_law(life: Life) -> str | None:
    """Return what a life ends by before its end, if it does."""
    try:
        live(life, life.world())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        return f"{type(error).__name__}: {str(error).partition(':')[0]}"
    return None


def shortest(life: Life) -> Life:
    """Leave out of a life that breaks a law what is not needed for that."""
    law, size = broken_law(life), len(life.steps)
    while size := size // 2:
        place = 0
        while place < len(life.steps):
            shorter = replace(life, steps=life.steps[:place] + life.steps[place + size :])
            if broken_law(shorter) == law:
                life = shorter
            else:
                place += size
    return life


def story(world: World) -> Iterator[str]:
    """Tell who is there, what was said, and what was decided."""
    for record in world.manager.records.values():
        spec = record.spec
        relations = f"needs {spec.needs}, shares {spec.domains}, {spec.strategy.value}"
        inside = f"inside {spec.parent}" if spec.inside else f"child of {spec.parent}"
        yield f"{spec.id}: {inside}, {relations}, {spec.restart.value}"
    for now_s, event, steps in world.heard:
        yield f"{now_s:10.2f}  {event}"
        yield from (
            f"{'':12}{it.seq} because of {it.because}: {describe(it, wall='{:.2f} s'.format)} "
            f"[{it.rule}]"
            for it in steps
        )


def main() -> None:
    """Tell the story of a seed, shortened if it breaks a law, and then raise that."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, required=True)
    life = born(options.parse_args().seed)
    life = shortest(life) if broken_law(life) else life
    world = life.world()
    try:
        live(life, world)
    finally:
        sys.stdout.writelines(f"{line}\n" for line in story(world))


if __name__ == "__main__":
    main()
