"""Whatever a world of failing components says, and when, recovery keeps its rules."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenarios.worlds import EAGER, POLICIES, STEPS, Step, World, no_timer_is_lost, stream

from stream_manager.recovery import UP, Phase, RecoveryManager, RecoveryPolicy


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, policy=st.sampled_from(POLICIES), jitter=st.floats(0.0, 1.0, exclude_max=True))
def test_recovery_keeps_its_rules_in_any_world(
    steps: list[Step], policy: RecoveryPolicy, jitter: float
) -> None:
    """No script leads to an illegal pair, a lost timer, an early start, a forgotten component."""
    world = World(stream("door", policy), lambda: jitter)
    for step in steps:
        world.play(step)
        no_timer_is_lost(world.manager)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, policy=st.sampled_from(POLICIES))
def test_recovery_succeeds_once_the_world_is_good_again(
    steps: list[Step], policy: RecoveryPolicy
) -> None:
    """After any past, all that is wanted runs again, but for what only a person can cure."""
    world = World(stream("door", policy), lambda: 0.5)
    for step in steps:
        world.play(step)
    world.turns_good()
    records = world.manager.records
    for record in records.values():
        held = [records[need] for need in record.spec.needs if records[need].phase not in UP]
        uncurable = record.last is not None and not record.last.rule.probed
        match record.phase:
            case Phase.RUNNING | Phase.STOPPED:
                pass
            case Phase.PARKED:
                assert held
            case Phase.VERIFYING:
                assert record.spec.proven_by is not None
                assert records[record.spec.proven_by].phase is not Phase.RUNNING
            case Phase.FAILED:
                assert held or uncurable
            case phase:
                raise AssertionError(f"{record.spec.id} is {phase} still")


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, policy=st.sampled_from(POLICIES))
def test_error_isolation_between_streams(steps: list[Step], policy: RecoveryPolicy) -> None:
    """A stream beside one that fails in any way goes through exactly the life it has alone."""
    world = World(stream("door", policy) + stream("yard", policy), lambda: 0.5)
    for step in steps:
        world.play(step)
    alone = RecoveryManager(chance=lambda: 0.5)
    for spec in stream("yard", policy):
        alone.add(spec)
    for now_s, event in world.heard:
        if event.id.startswith("yard"):
            alone.handle(event, now_s)
    beside = {id_: world.manager.records[id_] for id_ in alone.records}
    assert beside == dict(alone.records)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_error_isolation_of_a_healthy_stream(steps: list[Step]) -> None:
    """Nothing that one stream's components do touches the records of a stream that is recorded."""
    world = World(stream("yard", EAGER) + stream("door", EAGER), lambda: 0.5)
    for what in ("start", "prove"):
        for who in range(3):
            world.play((what, who, 0))
    healthy = [world.manager.records[id_] for id_ in world.ids[:3]]
    assert {record.phase for record in healthy} == {Phase.RUNNING}
    for what, who, number in steps:
        world.play((what, 3 + who % 3, number))
    assert [world.manager.records[id_] for id_ in world.ids[:3]] == healthy
