"""Random groups of components in random worlds: strategies and order hold, and nobody is lost."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenarios.worlds import POLICIES, STEPS, Step, World

from stream_manager.recovery import (
    UP,
    Decision,
    Finished,
    Phase,
    Record,
    RecoveryPolicy,
    RestartType,
    Spec,
    Start,
    Stop,
    Strategy,
    Wanted,
)
from stream_manager.recovery.states import ALIVE


def tree(
    policy: RecoveryPolicy, outer: Strategy, inner: Strategy, restart: RestartType
) -> list[Spec]:
    """Give a group of a worker, a group of two, and another worker."""
    member = Spec(id="", policy=policy, parent="all", needs=("all",))
    return [
        Spec(id="all", policy=policy, strategy=outer),
        replace(member, id="first", restart=restart),
        replace(member, id="pair", strategy=inner),
        replace(member, id="left", parent="pair", needs=("pair",)),
        replace(member, id="right", parent="pair", needs=("pair",), restart=restart),
        replace(member, id="last"),
    ]


TREES = st.builds(
    tree,
    st.sampled_from(POLICIES),
    st.sampled_from(Strategy),
    st.sampled_from(Strategy),
    st.sampled_from(RestartType),
)


class GroupWorld(World):
    """What is torn down for itself, in its order."""

    def play(self, step: Step) -> None:
        """Let a component come to its end by itself now and then, too."""
        what, who, number = step
        id_ = self.ids[who % len(self.ids)]
        if what == "stale" and number % 2 and id_ in self.built:
            self.hear(Finished(id=id_, epoch=self.newest[id_]))
        super().play(step)

    def _check(self, decision: Decision, phases: dict[str, Phase]) -> None:
        super()._check(decision, phases)
        spec = decision.after.spec
        for action in decision.actions:
            if isinstance(action, Stop):
                assert not [it for it in self._standing_on(spec.id) if phases[it] in ALIVE]
            elif self._strategy(spec) is not Strategy.ONE_FOR_ONE:
                assert all(phases[it] in UP for it in self.comes_before(spec)[-1:])

    def _begin(self, action: Start | Stop) -> None:
        if isinstance(action, Start):
            assert action.id not in self.ending or self.manager.records[action.id].epoch
        super()._begin(action)

    def _has_a_next_step(self, record: Record) -> None:
        if record.phase in {Phase.TEARING_DOWN, Phase.STOPPING} and record.due_s is None:
            standing = self._standing_on(record.spec.id)
            assert any(self.manager.records[it].phase in ALIVE for it in standing)
        elif record.phase is Phase.FAILED and record.spec.restart is RestartType.TEMPORARY:
            assert record.ended_by is not None
        elif record.phase is not Phase.PARKED:
            super()._has_a_next_step(record)

    def _standing_on(self, id_: str) -> list[str]:
        return [it for it in self.ids if id_ in self.manager.records[it].spec.needs]

    def comes_before(self, spec: Spec) -> list[str]:
        """Give the earlier siblings that are wanted, and are not over for good."""
        records = [self.manager.records[it] for it in self.ids[: self.ids.index(spec.id)]]
        return [
            it.spec.id
            for it in records
            if it.spec.parent == spec.parent
            and it.wanted
            and (it.phase, it.spec.restart) != (Phase.FAILED, RestartType.TEMPORARY)
        ]

    def _strategy(self, spec: Spec) -> Strategy:
        if spec.parent is None:
            return Strategy.ONE_FOR_ONE
        return self.manager.records[spec.parent].spec.strategy


def lived(specs: list[Spec], steps: list[Step]) -> GroupWorld:
    """Give a world after its steps, each of which it has checked."""
    world = GroupWorld(specs, lambda: 0.5)
    for step in steps:
        world.play(step)
    return world


@settings(max_examples=300, deadline=None)
@given(specs=TREES, steps=STEPS)
def test_recovery_keeps_the_order_of_groups_in_any_world(
    specs: list[Spec], steps: list[Step]
) -> None:
    """Nothing is stopped under what stands on it, nor started before what it comes after."""
    lived(specs, steps)


@settings(max_examples=200, deadline=None)
@given(specs=TREES, steps=STEPS)
def test_recovery_of_groups_succeeds_once_the_world_is_good_again(
    specs: list[Spec], steps: list[Step]
) -> None:
    """After any past all that is wanted runs, but for what only a person can cure, or waits for."""
    world = lived(specs, steps)
    world.turns_good()
    records = world.manager.records
    for record in records.values():
        needs = [records[need].phase for need in record.spec.needs]
        held = any(phase not in UP for phase in needs) or (
            any(records[it].phase not in UP for it in world.comes_before(record.spec)[-1:])
            and world._strategy(record.spec) is not Strategy.ONE_FOR_ONE
        )
        match record.phase:
            case Phase.PARKED:
                assert held, record.spec.id
            case Phase.FAILED:
                temporary = record.spec.restart is RestartType.TEMPORARY
                uncurable = record.last is not None and not record.last.rule.probed
                assert held or uncurable or temporary
            case phase:
                assert phase in {Phase.RUNNING, Phase.STOPPED}, record.spec.id
    for id_ in world.ids:
        world.hear(Wanted(id=id_, up=False, digest="0"))
    world.turns_good()
    assert {record.phase for record in records.values()} == {Phase.STOPPED}
