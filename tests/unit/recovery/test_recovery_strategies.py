"""Groups of components that are torn down each for itself: order, strategies, restart types."""

from dataclasses import replace

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Backoff,
    Budget,
    Fault,
    Finished,
    Phase,
    RecoveryPolicy,
    RestartType,
    Spec,
    Strategy,
    explain,
)
from stream_manager.testing import Script

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))
ONCE = replace(POLICY, budget=Budget(restarts=1))
BROKEN = Fault(origin="component", code="ValueError")
IMPOSSIBLE = Fault(origin="component", code="codec")
CHILDREN = ("a", "b", "c")


def group(
    strategy: Strategy, *, policy: RecoveryPolicy = POLICY, restart: RestartType | None = None
) -> Script:
    """Give a running group of three, whose actions so far are forgotten."""
    script = Script(
        Spec(id="group", policy=POLICY, strategy=strategy),
        *(
            Spec(
                id=child,
                policy=policy,
                parent="group",
                needs=("group",),
                restart=restart or RestartType.PERMANENT,
            )
            for child in CHILDREN
        ),
    )
    for id_ in ("group", *CHILDREN):
        script.wants(id_)
    comes_back(script)
    script.passes(3600.0)
    script.take()
    return script


def comes_back(script: Script) -> list[str]:
    """Let whatever starts come up, until nothing starts any more; tell in which order."""
    order = []
    while starting := [it for it, phase in script.phases().items() if phase is Phase.STARTING]:
        order += starting
        for id_ in starting:
            script.comes_up(id_)
    return order


def goes_down(script: Script) -> list[str]:
    """Confirm every teardown that is asked for, one by one; tell in which order."""
    order = []
    while taken := [it for it in script.take() if it.startswith("stop")]:
        for action in taken:
            id_ = action.split()[1]
            order.append(id_)
            script.gone(id_)
    return order


def finishes(script: Script, id_: str) -> list[str]:
    """Let a component end by itself, in good order."""
    return script.handle(Finished(id=id_, epoch=script[id_].epoch))


@pytest.mark.parametrize("strategy", Strategy)
def test_recovery_stops_a_group_in_the_reverse_order_of_its_start(strategy: Strategy) -> None:
    """One after another, the group itself as the last."""
    script = group(strategy)
    script.wants("group", up=False)
    assert script.take() == ["stop c 1"]
    script.gone("c")
    assert script.take() == ["stop b 1"]
    script.gone("b")
    assert goes_down(script) == ["a", "group"]
    assert script.phase("group") is Phase.STOPPED
    assert {script.phase(it) for it in CHILDREN} == {Phase.PARKED}


def test_recovery_does_not_wait_for_ever_for_a_child_that_can_not_be_stopped() -> None:
    """Each has its own bounded time; past it the next one's turn comes."""
    script = group(Strategy.ONE_FOR_ONE)
    script.wants("group", up=False)
    for _ in CHILDREN:
        script.passes(2 * POLICY.teardown_s)
    assert script.take() == ["stop c 1", "stop b 1", "stop a 1", "stop group 1"]


def test_recovery_one_for_one_leaves_siblings_alone() -> None:
    """Only the one that failed is torn down and started again."""
    script = group(Strategy.ONE_FOR_ONE)
    script.breaks("b", BROKEN)
    script.passes(1.0)
    assert comes_back(script) == ["b"]
    assert script.take() == ["stop b 1", "start b 2"]


def test_recovery_rest_for_one_takes_the_later_ones_along() -> None:
    """Those after it go down in reverse and come back in order, charged nothing."""
    script = group(Strategy.REST_FOR_ONE)
    assert script.fails("a", BROKEN) == ["a: unmatched", "c: swept"]
    assert script.take() == ["stop a 1", "stop c 1"]
    script.gone("a")
    script.gone("c")
    assert script.take() == ["stop b 1"]
    script.passes(1.0)
    assert script.phase("a") is Phase.PARKED  # its wait is over, but b still stands
    script.gone("b")
    assert comes_back(script) == ["a", "b", "c"]
    assert [script[it].attempts for it in CHILDREN] == [1, 0, 0]
    assert [script[it].charged for it in ("b", "c")] == [(), ()]
    script.breaks("c", BROKEN)
    script.passes(1.0)
    assert comes_back(script) == ["c"]


@pytest.mark.parametrize("failing", CHILDREN)
def test_recovery_one_for_all_takes_all_along(failing: str) -> None:
    """Whichever fails, all go down, the wait of the one that failed passes, and all come back."""
    script = group(Strategy.ONE_FOR_ALL)
    script.breaks(failing, BROKEN)
    others = [it for it in reversed(CHILDREN) if it != failing]
    assert goes_down(script) == [failing, *others] or goes_down(script) == []
    assert Phase.STARTING not in script.phases().values()
    script.passes(1.0)
    assert comes_back(script) == ["a", "b", "c"]
    assert {it: script[it].attempts for it in CHILDREN} == {
        it: int(it == failing) for it in CHILDREN
    }


def test_recovery_one_for_all_goes_down_again_when_one_fails_on_the_way_up() -> None:
    """A start that fails takes those along that had come up before it."""
    script = group(Strategy.ONE_FOR_ALL)
    script.fails("c", BROKEN)
    goes_down(script)
    script.passes(1.0)
    script.comes_up("a")
    script.take()
    script.breaks("b", BROKEN)
    assert goes_down(script) == ["b", "a"]
    script.passes(1.0)
    assert comes_back(script) == ["a", "b", "c"]


def test_recovery_charges_what_failed_by_another_nothing() -> None:
    """A sibling that the sweep is about to reach fails first: that is the other's doing."""
    script = group(Strategy.ONE_FOR_ALL)
    script.fails("a", BROKEN)
    assert script.fails("b", BROKEN) == ["b: swept"]
    script.wants("group", up=False)
    assert [script[it].charged for it in ("b", "c")] == [(), ()]
    script = group(Strategy.ONE_FOR_ONE)
    script.fails("group", BROKEN)
    assert script.fails("a", BROKEN) == ["a: need-is-down"]
    assert finishes(script, "b") == ["b: need-is-down"]
    assert [script[it].charged for it in ("a", "b")] == [(), ()]


def test_recovery_drops_an_end_of_an_older_run() -> None:
    """What has ended by itself is not what runs now."""
    script = group(Strategy.ONE_FOR_ONE, restart=RestartType.TRANSIENT)
    script.breaks("a", BROKEN)
    script.passes(1.0)
    comes_back(script)
    assert script.handle(Finished(id="a", epoch=1)) == []
    assert script.phase("a") is Phase.RUNNING


def test_recovery_by_a_strategy_starts_siblings_in_order_from_the_beginning() -> None:
    """Each waits for the one before it; one that is not wanted is passed over."""
    script = group(Strategy.REST_FOR_ONE)
    script.restarts("group")
    goes_down(script)
    script.comes_up("group")
    assert [script.phase(it) for it in CHILDREN] == [Phase.STARTING, Phase.PARKED, Phase.PARKED]
    script.wants("a", up=False)
    script.gone("a")
    assert script.phase("b") is Phase.STARTING
    assert comes_back(script) == ["b", "c"]


def test_recovery_of_a_commanded_restart_or_stop_takes_no_sibling_along() -> None:
    """A person's wish is no failure."""
    script = group(Strategy.ONE_FOR_ALL)
    script.restarts("a")
    script.wants("b", up=False)
    assert goes_down(script) == ["a", "b"]
    assert comes_back(script) == ["a"]
    assert script.phase("c") is Phase.RUNNING


def test_recovery_escalates_to_the_group_when_a_budget_is_spent() -> None:
    """The group goes down whole, in order, waits and comes back; it alone is charged for that."""
    script = group(Strategy.ONE_FOR_ONE, policy=ONCE)
    script.breaks("a", BROKEN)
    script.passes(1.0)
    comes_back(script)
    script.take()
    assert script.fails("a", BROKEN) == ["a: budget-spent", "group: escalated", "c: need-is-down"]
    assert goes_down(script) == ["a", "c", "b", "group"]
    script.passes(1.0)
    assert comes_back(script) == ["group", *CHILDREN]
    assert script["group"].attempts == 1
    assert script["a"].charged == ()


def test_recovery_escalates_nothing_in_a_dry_run() -> None:
    """The child is tried again by itself, and its group runs on."""
    script = group(Strategy.ONE_FOR_ONE, policy=replace(ONCE, enforce=False))
    script.breaks("a", BROKEN)
    script.passes(1.0)
    comes_back(script)
    assert script.fails("a", BROKEN) == ["a: would-budget-spent"]
    assert script.phase("group") is Phase.RUNNING


def test_recovery_that_ends_in_failed_blocks_only_what_comes_after_it() -> None:
    """A fault that no retry cures is visible; the siblings before it run on."""
    script = group(Strategy.ONE_FOR_ALL)
    script.fails("b", IMPOSSIBLE)
    goes_down(script)
    comes_back(script)
    assert [script.phase(it) for it in CHILDREN] == [Phase.RUNNING, Phase.FAILED, Phase.PARKED]
    awaits = script.manager.awaits("c")
    (told,) = explain(script["c"], now_s=script.now_s, wall=str, awaits=awaits)
    assert told == "c is parked: waiting for b, charged nothing."
    script.resets("b")
    assert comes_back(script) == ["b", "c"]


def test_recovery_of_a_group_whose_parent_ends_during_a_sweep() -> None:
    """The greater end goes on where the smaller one stood."""
    script = group(Strategy.ONE_FOR_ALL)
    script.fails("a", BROKEN)
    script.wants("group", up=False)
    assert goes_down(script) == ["a", "c", "b", "group"]


def test_recovery_of_a_probe_that_is_taken_along_is_failed_again() -> None:
    """What was given up is no better for another's failure."""
    script = group(Strategy.REST_FOR_ONE, policy=replace(POLICY, give_up_after_attempts=1))
    for _ in range(2):
        script.breaks("c", BROKEN)
        script.passes(1.0)
    assert script.phase("c") is Phase.FAILED
    script.passes(300.0)
    assert script["c"].probing
    script.fails("a", BROKEN)
    script.gone("c")
    assert script.phase("c") is Phase.FAILED


@pytest.mark.parametrize(
    ("restart", "finished", "failed"),
    [
        (RestartType.PERMANENT, "a: ended", Phase.RUNNING),
        (RestartType.TRANSIENT, "a: finished", Phase.RUNNING),
        (RestartType.TEMPORARY, "a: finished", Phase.FAILED),
    ],
)
def test_recovery_by_restart_type(restart: RestartType, finished: str, failed: Phase) -> None:
    """What ends in good order is done unless it is permanent; a fault ends what is temporary."""
    script = group(Strategy.ONE_FOR_ONE, restart=restart)
    assert finishes(script, "a") == [finished]
    script.gone("a")
    script.passes(1.0)
    comes_back(script)
    done = restart is not RestartType.PERMANENT
    assert script.phase("a") is (Phase.STOPPED if done else Phase.RUNNING)
    script.breaks("b", BROKEN)
    script.passes(3600.0)
    comes_back(script)
    assert script.phase("b") is failed
    told = explain(script["b"], now_s=script.now_s, wall=str)
    assert ("It was given up because it is temporary: a fault ends it." in told) is (
        failed is Phase.FAILED
    )
    told = explain(script["a"], now_s=script.now_s, wall=str)
    assert ("a is stopped: it ended in good order" in told[0]) is done
    assert script["a"].finished is done
    if done:
        script.wants("a")
        assert not script["a"].finished
        assert comes_back(script) == ["a"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (Spec(id="x", policy=POLICY, inside=True), "is inside a parent, and names none"),
        (
            Spec(id="x", policy=POLICY, parent="group", needs=("group",), inside=True),
            "whose strategy is one_for_all: expected one_for_one",
        ),
    ],
)
def test_relations_that_can_not_be_are_refused(spec: Spec, told: str) -> None:
    """What ends with its parent can't be torn down for itself, as a strategy demands."""
    with pytest.raises(UsageError, match=told):
        group(Strategy.ONE_FOR_ALL).manager.add(spec)


def test_what_needs_another_that_is_not_its_parent_waits_for_it() -> None:
    """It starts when that is up, and no strategy has a say in it."""
    script = Script(Spec(id="disk", policy=POLICY), Spec(id="cam", policy=POLICY, needs=("disk",)))
    script.wants("disk")
    script.wants("cam")
    assert script.phase("cam") is Phase.PARKED
    script.comes_up("disk")
    assert script.phase("cam") is Phase.STARTING


def test_siblings_keep_their_order_when_one_is_forgotten() -> None:
    """Those that are left are swept and started as before."""
    script = group(Strategy.REST_FOR_ONE)
    script.wants("b", up=False)
    goes_down(script)
    script.manager.remove("b")
    script.fails("a", BROKEN)
    assert goes_down(script) == ["a", "c"]
    script.passes(1.0)
    assert comes_back(script) == ["a", "c"]


def test_recovery_of_what_needs_another_that_is_no_parent() -> None:
    """It starts when that is up, in no order among siblings, for it has none."""
    script = Script(
        Spec(id="broker", policy=POLICY), Spec(id="reader", policy=POLICY, needs=("broker",))
    )
    script.wants("reader")
    assert script.phase("reader") is Phase.PARKED
    script.wants("broker")
    assert comes_back(script) == ["broker", "reader"]


def test_recovery_of_a_sibling_that_falls_by_itself_during_a_sweep() -> None:
    """One that comes before it, and whose wait ends first, is not forgotten when the sweep ends."""
    script = group(Strategy.REST_FOR_ONE)
    script.breaks("b", BROKEN)
    script.breaks("a", BROKEN)
    script.passes(1.0)
    script.gone("c")
    assert comes_back(script) == ["a", "b", "c"]


@pytest.mark.parametrize("removed", CHILDREN)
def test_siblings_may_be_forgotten_while_a_group_goes_down(removed: str) -> None:
    """Whoever is left goes down in order, and comes back, as if the other had never been."""
    script = group(Strategy.ONE_FOR_ALL)
    script.wants(removed, up=False)
    script.gone(removed)
    others = [it for it in CHILDREN if it != removed]
    script.take()
    script.fails(others[0], BROKEN)
    script.manager.remove(removed)
    assert goes_down(script) == others
    script.passes(1.0)
    assert comes_back(script) == others


def test_the_one_that_failed_may_be_forgotten_while_its_siblings_go_down() -> None:
    """They come back without it."""
    script = group(Strategy.ONE_FOR_ALL)
    script.fails("a", BROKEN)
    script.wants("a", up=False)
    script.gone("a")
    script.manager.remove("a")
    script.gone("c")
    script.gone("b")
    assert comes_back(script) == ["b", "c"]
    with pytest.raises(UsageError, match="there is no component 'a'"):
        script.manager.remove("a")


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
def test_what_is_temporary_takes_nobody_along_and_keeps_nobody_waiting(strategy: Strategy) -> None:
    """It does not come back, so its siblings would wait for ever; later ones pass it over."""
    script = group(strategy, restart=RestartType.TEMPORARY)
    script.breaks("a", BROKEN)
    assert [script.phase(it) for it in CHILDREN] == [Phase.FAILED, Phase.RUNNING, Phase.RUNNING]
    script.restarts("b")
    script.gone("b")
    assert comes_back(script) == ["b"]


def test_what_is_temporary_and_fails_on_its_way_up_lets_the_next_one_start() -> None:
    """The order of a start asks for what can come up, and for nothing else."""
    script = group(Strategy.ONE_FOR_ALL, restart=RestartType.TEMPORARY)
    script.restarts("group")
    assert goes_down(script) == ["c", "b", "a", "group"]
    script.comes_up("group")
    assert script.phase("b") is Phase.PARKED
    script.breaks("a", BROKEN)
    assert comes_back(script) == ["b", "c"]


def test_children_of_both_kinds_go_down_with_their_parent() -> None:
    """What runs inside it ends with it, and what is torn down for itself is told to go first."""
    member = Spec(id="", policy=POLICY, parent="worker", needs=("worker",))
    script = Script(
        Spec(id="worker", policy=POLICY),
        replace(member, id="part", inside=True),
        replace(member, id="a"),
        replace(member, id="b"),
    )
    for id_ in ("worker", "part", "a", "b"):
        script.wants(id_)
    comes_back(script)
    script.take()
    script.fails("worker", BROKEN)
    assert script.phase("part") is Phase.PARKED
    assert goes_down(script) == ["b", "a", "worker"]
    script.passes(1.0)
    assert comes_back(script) == ["worker", "part", "a", "b"]


def test_a_sibling_that_fails_while_younger_ones_go_down_takes_along_all_after_itself() -> None:
    """Two failures at once: the earlier in the order of starts decides who goes, and comes back."""
    member = Spec(id="", policy=POLICY, parent="group", needs=("group",))
    children = ("a", "b", "c", "d")
    script = Script(
        Spec(id="group", policy=POLICY, strategy=Strategy.REST_FOR_ONE),
        *(replace(member, id=child) for child in children),
    )
    for id_ in ("group", *children):
        script.wants(id_)
    comes_back(script)
    script.take()
    assert script.fails("c", BROKEN) == ["c: unmatched", "d: swept"]
    script.fails("a", BROKEN)
    assert goes_down(script) == ["c", "d", "a", "b"]
    script.passes(1.0)
    assert comes_back(script) == ["a", "b", "c", "d"]
    assert [script[child].attempts for child in children] == [1, 0, 1, 0]
