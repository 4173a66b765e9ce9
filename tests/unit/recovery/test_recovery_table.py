"""The table: every pair of phase and event stands in it, and the design's diagram shows it."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from stream_manager.errors import InvariantError
from stream_manager.recovery import (
    Cause,
    Decision,
    Event,
    Failed,
    Fault,
    Phase,
    RecoveryPolicy,
    Reset,
    Restart,
    Spec,
    Wanted,
    describe,
    explain,
)
from stream_manager.recovery.engine import TABLE, decide, illegal
from stream_manager.recovery.states import (
    Admitted,
    Adopted,
    Deaf,
    DomainDue,
    Due,
    Escalated,
    Finished,
    Gone,
    Handover,
    HandoverStep,
    Held,
    Lifted,
    Lost,
    Proved,
    Record,
    RestartType,
    Started,
    Swept,
    Unburdened,
    Unproved,
    Vouched,
)
from stream_manager.recovery.steps import Context
from stream_manager.testing import Script

DESIGN = Path(__file__).parents[3] / "docs/design/0001-recovery-core.md"
CRASHED = Fault(origin="process", code="SIGSEGV")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)
EVENTS: tuple[Event, ...] = (
    Wanted(id="cam", up=True, digest="as configured"),
    Wanted(id="cam", up=True, digest="changed"),
    Wanted(id="cam", up=False, digest="as configured"),
    Restart(id="cam"),
    Handover(id="cam", epoch=1, step=HandoverStep.BEGUN, why="restart"),
    Handover(id="cam", epoch=1, step=HandoverStep.VERIFIED, why="restart"),
    Handover(id="cam", epoch=1, step=HandoverStep.FAILED, why="453"),
    Reset(id="cam"),
    Adopted(id="cam", epoch=1, digest="as configured"),
    Adopted(id="cam", epoch=1, digest="as configured", ending=True),
    Started(id="cam", epoch=1),
    Proved(id="cam", epoch=1),
    Failed(id="cam", epoch=1, fault=CRASHED),
    Failed(id="cam", epoch=1, fault=WRONG_PASSWORD),
    Finished(id="cam", epoch=1),
    Gone(id="cam", epoch=1),
    Due(id="cam"),
    Deaf(id="cam", late_s=2.5),
    Lifted(id="cam", by="worker"),
    Lost(id="cam", by="worker", cause=None),
    Swept(id="cam", by="sibling"),
    Unburdened(id="cam", by="child"),
    Vouched(id="cam", by="child"),
    Unproved(id="cam", by="child"),
    Escalated(id="cam", child="child", cause=Cause.MEDIA, fault=CRASHED),
    Held(id="cam", by="node", failures=0, since_s=0.0),
    Held(id="cam", by="node", failures=1, since_s=0.0),
    Admitted(id="cam", by="node", at_once=True),
    Admitted(id="cam", by="node", at_once=False),
)
ILLEGAL = [(phase, event) for (phase, event), handler in TABLE.items() if handler is illegal]
UNTIMED = frozenset({Phase.STOPPED, Phase.RUNNING, Phase.PARKED})
PARENTS = ((None, False), ("worker", True), ("group", False))
# What a teardown may lead to; elsewhere the field says nothing.
AFTERWARDS = {
    Phase.TEARING_DOWN: (Phase.BACKING_OFF, Phase.FAILED),
    Phase.STOPPING: (Phase.STOPPED,),
}


def test_every_pair_of_phase_and_event_stands_in_the_table() -> None:
    """No event can meet a phase that nobody thought of; a domain's timer is no component's."""
    assert set(TABLE) == set(product(Phase, set(get_args(Event)) - {DomainDue}))


@pytest.mark.parametrize(("phase", "kind"), ILLEGAL, ids=str)
def test_an_illegal_pair_raises(phase: Phase, kind: type[Event]) -> None:
    """What no component can say is our own bug: InvariantError, with the pair named."""
    record = Record(spec=Spec(id="cam", policy=RecoveryPolicy()), phase=phase, epoch=1)
    event = next(event for event in EVENTS if type(event) is kind)
    with pytest.raises(InvariantError, match=f"cam got {kind.__name__} while {phase.value}"):
        decide(record, event, Context(now_s=1.0, chance=lambda: 0.5))


def test_an_illegal_fact_changes_nothing() -> None:
    """The manager refuses it whole, and the component goes on as if it had not been said."""
    script = Script(Spec(id="cam", policy=RecoveryPolicy()))
    script.wants("cam")
    before = script["cam"]
    with pytest.raises(InvariantError):
        script.gone("cam")
    assert script["cam"] is before
    assert script.comes_up("cam") == ["cam: started", "cam: proved"]


def records() -> Iterator[Record]:
    """Yield a component in each phase, with each past that makes a difference to its next one."""
    for phase, (parent, inside), resume_s, probing, spent, restart, enforce in product(
        Phase, PARENTS, (None, 99.0), (False, True), (False, True), RestartType, (True, False)
    ):
        if probing and phase not in {Phase.STARTING, Phase.VERIFYING, Phase.RUNNING}:
            continue
        if not (spent or enforce):
            continue  # a dry run is told from no run by a limit alone
        timers = (None, 1.0) if phase in AFTERWARDS else (None if phase in UNTIMED else 1.0,)
        for afterwards, due_s in product(AFTERWARDS.get(phase, (Phase.BACKING_OFF,)), timers):
            yield Record(
                spec=Spec(
                    id="cam",
                    policy=RecoveryPolicy(enforce=enforce),
                    parent=parent,
                    inside=inside,
                    restart=restart,
                ),
                digest="as configured",
                wanted=phase not in {Phase.STOPPED, Phase.STOPPING},
                phase=phase,
                epoch=1,
                due_s=due_s,
                resume_s=resume_s,
                afterwards=afterwards,
                probing=probing,
                charged=(0.0,) * 5 if spent else (),
            )


def decisions() -> Iterator[Decision]:
    """Yield all that the table decides for them."""
    for record, event, awaits, burdened, held_by in product(
        records(), EVENTS, (("cam",), ()), (False, True), (None, "node")
    ):
        if TABLE[record.phase, type(event)] is not illegal:
            context = Context(
                now_s=1.0, chance=lambda: 0.5, awaits=awaits, burdened=burdened, held_by=held_by
            )
            decision = decide(record, event, context)
            if decision is not None:
                yield decision


def diagram() -> str:
    """Draw the table: from each phase, which events can lead to which other one."""
    edges: dict[tuple[Phase, Phase], set[str]] = defaultdict(set)
    for decision in decisions():
        before, after = decision.before.phase, decision.after.phase
        if before is not after:
            edges[before, after].add(type(decision.event).__name__)
    order = list(Phase)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.STOPPED.value}"]
    for before, after in sorted(edges, key=lambda edge: [order.index(phase) for phase in edge]):
        events = ", ".join(sorted(edges[before, after]))
        lines.append(f"    {before.value} --> {after.value}: {events}")
    return "\n".join([*lines, "```"])


def test_the_diagram_in_the_design_is_the_tables_own() -> None:
    """The picture that people read shows what the code does; when it fails, paste the new one."""
    assert diagram() in DESIGN.read_text()


def test_everything_the_table_decides_has_its_sentence() -> None:
    """No rule name falls to a generic text, and no record is left unexplained."""
    for decision in decisions():
        assert describe(decision, wall=str).startswith("cam: ")
        assert explain(decision.after, now_s=1.0, wall=str)
