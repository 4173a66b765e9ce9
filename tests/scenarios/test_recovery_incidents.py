"""Whatever components of shared domains do, their incidents keep the rules, and end."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenarios.worlds import (
    EAGER,
    FAULTS,
    HAPPENINGS,
    POLICIES,
    STEPS,
    Step,
    World,
    no_timer_is_lost,
    sites,
)

from stream_manager.recovery import (
    Decision,
    DomainDue,
    Fault,
    IncidentPolicy,
    Phase,
    RecoveryManager,
    RecoveryPolicy,
)

REFUSED = Fault(origin="connect", code="ECONNREFUSED")
SILENT = Fault(origin="health", code="stall")
DISK_FULL = Fault(origin="filesink", code="gst-resource-error:14")
SHARED = (REFUSED, SILENT, DISK_FULL, Fault(origin="process", code="SIGKILL:oom"))


def suffers(world: World, prefix: str, fault: Fault) -> None:
    """Let all whose names begin so fail by one fault, and confirm their teardowns."""
    for id_ in world.ids:
        if id_.startswith(prefix) and (id_ in world.built or id_ in world.starting):
            world.play(("fail", world.ids.index(id_), FAULTS.index(fault)))
    for id_ in world.ids:
        world.play(("end", world.ids.index(id_), 0))


def mended(world: World) -> None:
    """Let the world be good, and check that everybody is well and no incident is left."""
    world.turns_good()
    assert world.manager.incidents == {}
    for record in world.manager.records.values():
        uncurable = record.last is not None and not record.last.rule.probed
        failed = record.phase is Phase.FAILED and uncurable
        parent_failed = record.phase is Phase.PARKED and record.spec.needs
        well = record.phase in {Phase.RUNNING, Phase.STOPPED, Phase.VERIFYING}
        assert failed or parent_failed or well, (record.spec.id, record.phase)


@settings(max_examples=100, deadline=None)
@given(
    steps=STEPS,
    number=st.integers(0, 3),
    policy=st.sampled_from(POLICIES),
    jitter=st.floats(0.0, 1.0, exclude_max=True),
)
def test_incidents_keep_the_rules_in_any_world(
    steps: list[Step], number: int, policy: RecoveryPolicy, jitter: float
) -> None:
    """No script starts a member of a closed domain, exceeds a ramp, or strands anybody."""
    world = World(sites(number, policy), lambda: jitter)
    for step in steps:
        world.play(step)
        no_timer_is_lost(world.manager)
    mended(world)


@pytest.mark.parametrize("seed", range(60))
def test_incidents_of_overlapping_domains_all_end(seed: int) -> None:
    """Outages of hosts, disks and the machine that overlap leave nobody parked for ever."""
    chance = random.Random(seed)
    world = World(sites(chance.randrange(4), EAGER), chance.random)
    world.play(("good", 0, 0))
    for _ in range(30):
        match chance.randrange(5):
            case 0 | 1:
                suffers(world, chance.choice(("a", "b", "v", "w", "")), chance.choice(SHARED))
            case 2:
                world.passes(chance.choice((0.05, 0.3, 2.0, 5.0)))
            case 3:
                world.play(("good", 0, 0))
            case _:
                what = chance.choice(HAPPENINGS)
                world.play((what, chance.randrange(20), chance.randrange(42)))
    mended(world)


DRY = IncidentPolicy(enforce=False)


def changed_nothing(world: World) -> None:
    """Check that components went the same way as they would have without any domain."""
    records = world.manager.records.values()
    plain = {it.spec.id: replace(it.spec, domains=()) for it in records}
    alone = RecoveryManager(chance=lambda: 0.5)
    dry = RecoveryManager(chance=lambda: 0.5, incidents=DRY)
    for id_, record in world.manager.records.items():
        alone.add(plain[id_])
        dry.add(record.spec)
    for at_s, event in world.heard:
        dry_steps = [it for it in dry.handle(event, at_s) if isinstance(it, Decision)]
        if isinstance(event, DomainDue):
            assert dry_steps == []
            continue
        expected = [it for it in alone.handle(event, at_s) if isinstance(it, Decision)]
        assert [
            (it.rule, it.actions, replace(it.after, spec=plain[it.id])) for it in dry_steps
        ] == [(it.rule, it.actions, it.after) for it in expected]


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, number=st.integers(0, 3), policy=st.sampled_from(POLICIES))
def test_incidents_of_a_dry_run_change_nothing_in_any_world(
    steps: list[Step], number: int, policy: RecoveryPolicy
) -> None:
    """Every decision about a component is the one of a world without domains, and all end."""
    world = World(sites(number, policy), lambda: 0.5, DRY)
    for step in steps:
        world.play(step)
        no_timer_is_lost(world.manager)
    mended(world)
    changed_nothing(world)


def test_incidents_of_a_dry_run_take_every_step_and_end() -> None:
    """Overlapping outages are followed as if they were acted upon, and leave none behind."""
    seen: set[str] = set()
    for seed in range(30):
        chance = random.Random(seed)
        world = World(sites(seed % 4, EAGER), lambda: 0.5, DRY)
        world.play(("good", 0, 0))
        for _ in range(25):
            suffers(world, chance.choice(("a", "b", "v", "w", "")), chance.choice(SHARED))
            world.passes(chance.choice((0.05, 0.3, 2.0, 5.0)))
            what = chance.choice(("good", *HAPPENINGS))
            world.play((what, chance.randrange(20), chance.randrange(42)))
        mended(world)
        changed_nothing(world)
        seen |= {step.rule for step in world.steps}
    assert seen >= {
        *("incident-opened", "incident-confirmed", "incident-vetoed", "incident-probe"),
        *("incident-probe-over", "incident-proved", "incident-ramp", "incident-taken-over"),
        *("incident-resolved", "incident-released", "incident-deserted"),
    }


def test_these_worlds_see_every_step_of_an_incident() -> None:
    """The seeds above are no quiet ones: each rule of an incident fires in some of them."""
    seen: set[str] = set()
    for seed in range(60):
        chance = random.Random(seed)
        world = World(sites(2, EAGER), chance.random)
        world.play(("good", 0, 0))
        for _ in range(25):
            suffers(world, chance.choice(("a", "b", "v", "")), chance.choice(SHARED))
            world.passes(chance.choice((0.05, 0.3, 2.0, 5.0)))
            if chance.random() < 0.3:
                world.play(("good", 0, 0))
        seen |= {step.rule for step in world.steps}
    assert seen >= {
        *("incident-opened", "incident-confirmed", "incident-vetoed", "incident-probe"),
        *("incident-probe-over", "incident-proved", "incident-ramp", "incident-taken-over"),
        *("incident-resolved", "incident-released"),
    }
