"""Thousands of random worlds, each settled by its seed: whatever happens, recovery keeps the laws.

SIMULATE_SEEDS=2000-100000 plays others.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest
from tests.scenarios.casts import EAGER, POLICIES, sites, stream
from tests.scenarios.lives import born, broken_law, live, played, shortest, story
from tests.scenarios.scripts import Step, play, script
from tests.scenarios.worlds import World

from stream_manager.recovery import (
    Budget,
    Decision,
    DomainDue,
    IncidentPolicy,
    Phase,
    RecoveryManager,
    Trigger,
)
from stream_manager.recovery.explain import ENDS, WOULD
from stream_manager.recovery.explain import STEPS as DECIDED
from stream_manager.recovery.incident_words import STEPS as MOVED

FIRST, _, LAST = os.environ.get("SIMULATE_SEEDS", "0-2000").partition("-")
# In these worlds nothing outlives its manager; scripts have what does (test_recovery_adopted).
SCRIPTED = {"adopted", "adopted-ending"}
DRY = IncidentPolicy(enforce=False)


@contextmanager
def untraced() -> Iterator[None]:
    """Let coverage look away: unit tests reach every branch, and tracing takes twice the time."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)


def test_recovery_keeps_the_laws_in_thousands_of_worlds() -> None:
    """No seed breaks a law, and all together are not quiet: each rule and transition is seen."""
    rules: set[str] = set()
    triggers: set[Trigger] = set()
    with untraced():
        for seed in range(int(FIRST), int(LAST)):
            world = played(seed)
            rules |= world.witness.rules
            triggers |= world.calls.triggers
    assert {*DECIDED, *ENDS, *WOULD, *MOVED} - SCRIPTED <= rules
    assert triggers == {*Trigger}


def test_a_seed_settles_all_of_its_world() -> None:
    """The same seed has the same history, to the last decision."""
    for seed in range(10):
        first, second = (live(it, it.world()) for it in (born(seed), born(seed)))
        assert first.heard == second.heard


def test_a_mistake_is_found_and_told_as_short_as_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that forgets a limit breaks a law within a few seeds; the error says how to see."""
    monkeypatch.setattr(Budget, "spent", lambda *_: False)
    seed = next(it for it in range(100) if broken_law(born(it)))
    with pytest.raises(AssertionError, match="no budget is exceeded") as caught:
        played(seed)
    assert caught.value.__notes__ == [f"To see it: python -m tests.scenarios.lives --seed {seed}"]
    life = shortest(born(seed))
    assert broken_law(life) == broken_law(born(seed))
    assert len(life.steps) < len(born(seed).steps)
    world = life.world()
    with pytest.raises(AssertionError):
        live(life, world)
    assert "[wanted]" in "".join(story(world))


def uninterrupted(chance: Random) -> list[Step]:
    """Write down what will happen to components that stay, under one manager."""
    return [it for it in script(chance, 60) if it[0] not in {"crash", "leave", "join"}]


def test_error_isolation_between_streams() -> None:
    """A stream beside one that fails in any way goes through exactly the life it has alone."""
    for seed in range(50):
        chance = Random(seed)
        policy = chance.choice(POLICIES)
        world = World(stream("door", policy) + stream("yard", policy), lambda: 0.5)
        alone = RecoveryManager(chance=lambda: 0.5)
        for spec in stream("yard", policy):
            alone.add(spec)
        for step in uninterrupted(chance):
            play(world, step)
        for now_s, event, _ in world.heard:
            if event.id.startswith("yard"):
                alone.handle(event, now_s)
        assert {id_: world.manager.records[id_] for id_ in alone.records} == alone.records


def test_error_isolation_of_a_healthy_stream() -> None:
    """Nothing that one stream's components do touches the records of a stream that is recorded."""
    for seed in range(50):
        world = World(stream("yard", EAGER) + stream("door", EAGER), lambda: 0.5)
        world.answers_all()
        healthy = [world.manager.records[id_] for id_ in world.ids[:3]]
        assert {record.phase for record in healthy} == {Phase.RUNNING}
        for what, who, number in uninterrupted(Random(seed)):
            if what not in {"good", "relapse"}:  # which say of all what they say
                play(world, (what, 3 + who % 3, number))
        assert [world.manager.records[id_] for id_ in world.ids[:3]] == healthy


def test_incidents_of_a_dry_run_change_nothing() -> None:
    """Every decision about a component is the one of a world without domains."""
    moved: set[str] = set()
    for seed in range(25):
        chance = Random(seed)
        world = World(sites(chance), lambda: 0.5, DRY)
        for step in uninterrupted(chance):
            play(world, step)
        world.turns_good()
        records = world.manager.records.values()
        plain = {it.spec.id: replace(it.spec, domains=()) for it in records}
        alone = RecoveryManager(chance=lambda: 0.5)
        for spec in plain.values():
            alone.add(spec)
        for at_s, event, steps in world.heard:
            decisions = [it for it in steps if isinstance(it, Decision)]
            expected = [] if isinstance(event, DomainDue) else alone.handle(event, at_s)
            assert [
                (it.rule, it.actions, replace(it.after, spec=plain[it.id])) for it in decisions
            ] == [(it.rule, it.actions, it.after) for it in expected]
        moved |= world.witness.rules
    assert {"incident-opened", "incident-confirmed", "incident-vetoed", "incident-probe"} <= moved
    assert {"incident-proved", "incident-resolved", "incident-released"} <= moved
