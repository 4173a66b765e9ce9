"""One component: each rule of its life as a script of events in, rules and actions out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Backoff,
    Budget,
    Due,
    Fault,
    Gone,
    Handover,
    HandoverStep,
    Phase,
    RecoveryManager,
    RecoveryPolicy,
    Spec,
    Start,
)
from stream_manager.testing import Script

REFUSED = Fault(origin="connect", code="ECONNREFUSED", text="nobody listens")
CRASHED = Fault(origin="process", code="SIGSEGV")
ABORTED = Fault(origin="process", code="SIGABRT")
GARBAGE = Fault(origin="qtdemux", code="gst-stream-error:4")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)
STEADY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))


def camera(policy: RecoveryPolicy = STEADY) -> Script:
    """Give one wanted component that is starting."""
    script = Script(Spec(id="cam", policy=policy))
    script.wants("cam")
    return script


def healthy(policy: RecoveryPolicy = STEADY) -> Script:
    """Give one component that has been proven for an hour."""
    script = camera(policy)
    script.comes_up("cam")
    script.passes(3600.0)
    script.take()
    return script


def fails_again_and_again(script: Script, fault: Fault, times: int) -> list[str]:
    """Let the component fail so often, each time as soon as it starts; tell the rules."""
    told = []
    for _ in range(times):
        told.append(script.fails("cam", fault)[0].removeprefix("cam: "))
        script.gone("cam")
        if script.phase("cam") is Phase.BACKING_OFF:
            script.passes(script["cam"].delay_s)
    return told


# --- starting and stopping --------------------------------------------------------------------


def test_recovery_is_proven_by_media_and_not_by_a_start() -> None:
    """Wanted starts it, Started verifies it, and only Proved makes it RUNNING."""
    script = Script(Spec(id="cam", policy=STEADY))
    assert script.wants("cam") == ["cam: wanted"]
    assert script.take() == ["start cam 1"]
    assert script.started("cam") == ["cam: started"]
    assert script.phase("cam") is Phase.VERIFYING
    assert script.proved("cam") == ["cam: proved"]
    assert script.phase("cam") is Phase.RUNNING
    assert script["cam"].proven_at_s == 0.0


def test_what_is_so_already_changes_nothing() -> None:
    """Wanting what is wanted, or not wanting what is not, decides nothing."""
    script = camera()
    assert script.wants("cam") == []
    script.wants("cam", up=False)
    assert script.wants("cam", up=False) == []


def test_a_stop_while_starting_waits_for_the_teardown() -> None:
    """Stopped means confirmed: STOPPING until Gone, whatever the start still says."""
    script = camera()
    script.take()
    assert script.wants("cam", up=False) == ["cam: unwanted"]
    assert script.take() == ["stop cam 1"]
    assert script.started("cam") == script.fails("cam", CRASHED) == []
    assert script.phase("cam") is Phase.STOPPING
    script.gone("cam")
    assert script.phase("cam") is Phase.STOPPED
    assert script["cam"].due_s is None


def test_a_start_while_stopping_waits_for_the_teardown() -> None:
    """The next run begins only when the one before is gone, and then at once."""
    script = healthy()
    script.wants("cam", up=False)
    assert script.wants("cam") == ["cam: wanted"]
    assert script.take() == ["stop cam 1"]
    assert script.gone("cam") == ["cam: gone"]
    assert script.take() == ["start cam 2"]


def test_a_stop_cancels_the_pending_restart() -> None:
    """What backs off and is not wanted any more never starts."""
    script = healthy()
    script.breaks("cam", REFUSED)
    script.take()
    assert script.wants("cam", up=False) == ["cam: unwanted"]
    assert script.passes(3600.0) == []
    assert script.take() == []


def test_a_stop_while_tearing_down_keeps_the_one_teardown() -> None:
    """A stop during a fault's teardown asks for no second one, and nothing follows it."""
    script = healthy()
    script.fails("cam", REFUSED)
    script.take()
    script.wants("cam", up=False)
    script.gone("cam")
    assert script.phase("cam") is Phase.STOPPED
    assert script.take() == []


def test_a_changed_configuration_restarts_it_with_a_clean_past() -> None:
    """New settings have not worked yet: proof, faults, attempts and windows start anew."""
    script = healthy()
    script.breaks("cam", CRASHED)
    script.comes_up("cam")
    script.take()
    assert script.wants("cam", digest="changed") == ["cam: configuration-changed"]
    assert script.take() == ["stop cam 2"]
    record = script["cam"]
    assert (record.proven, record.attempts, record.charged, record.last) == (False, 0, (), None)
    assert script.gone("cam") == ["cam: gone"]
    assert script.take() == ["start cam 3"]
    assert script["cam"].restarts_total == 1


def test_a_commanded_restart_is_charged_to_nothing() -> None:
    """An operator's restart clears the counters and counts as none."""
    script = healthy()
    script.breaks("cam", CRASHED)
    script.comes_up("cam")
    assert script.restarts("cam") == ["cam: restart-commanded"]
    assert (script["cam"].attempts, script["cam"].charged) == (0, ())
    script.gone("cam")
    assert script.phase("cam") is Phase.STARTING
    assert script["cam"].restarts_total == 1


def test_a_restart_of_what_waits_begins_at_once() -> None:
    """The backoff is not waited for when a person asks."""
    script = healthy()
    script.breaks("cam", REFUSED)
    script.take()
    script.restarts("cam")
    assert script.take() == ["start cam 2"]


def test_a_restart_while_tearing_down_skips_the_wait() -> None:
    """The teardown under way is the restart's own; no delay follows it."""
    script = healthy()
    script.fails("cam", REFUSED)
    script.restarts("cam")
    script.take()
    script.gone("cam")
    assert script.take() == ["start cam 2"]


def test_commands_to_a_stopped_component_change_nothing() -> None:
    """Restart and reset do not want it up."""
    script = Script(Spec(id="cam", policy=STEADY))
    assert script.restarts("cam") == script.resets("cam") == []


def test_a_run_whose_successor_is_verified_is_replaced_at_once_and_charged_nothing() -> None:
    """Neither attempt nor backoff; what leads there, or fails, changes nothing."""
    script = healthy()
    was = script["cam"]
    begun = Handover(id="cam", epoch=1, step=HandoverStep.BEGUN, why="it leaks")
    assert script.handle(begun) == ["cam: handover-begun"]
    failed = replace(begun, step=HandoverStep.FAILED, why="453")
    assert script.handle(failed) == ["cam: handover-failed"]
    assert script["cam"] == was
    assert script.decisions[-1].saw == {"why": "453"}
    verified = replace(begun, step=HandoverStep.VERIFIED)
    assert script.handle(verified) == ["cam: handover-verified"]
    assert script.take()[-1] == "stop cam 1"
    script.gone("cam")
    assert script.take() == ["start cam 2"]
    assert (script["cam"].attempts, script["cam"].last) == (0, None)
    assert script.handle(verified) == []  # of a run that is over


# --- failing and coming back ------------------------------------------------------------------


def test_a_run_begins_only_after_the_teardown_is_confirmed() -> None:
    """However long the delay is over: no Gone, no start."""
    script = healthy(replace(STEADY, teardown_s=60.0))
    script.fails("cam", REFUSED)
    script.take()
    script.passes(100.0)
    assert script.take() == []
    script.gone("cam")
    assert script.take() == ["start cam 2"]


def test_a_teardown_that_hangs_is_abandoned() -> None:
    """Past twice its grace the root of a tree is fenced off by its epoch, and goes on."""
    script = healthy()
    script.fails("cam", REFUSED)
    script.take()
    assert script.passes(4.0) == ["cam: abandoned"]
    assert script.take() == ["start cam 2"]
    assert script.gone("cam", epoch=1) == []
    assert script.manager.late_facts == 1


def test_what_its_process_gave_up_is_followed_by_a_successor_in_its_turn() -> None:
    """A hung teardown that is out of the way is told like any that hangs, and nothing escalates."""
    script = healthy()
    script.fails("cam", REFUSED)
    script.take()
    assert script.passes(0.3) == []
    assert script.gone("cam", abandoned=True) == ["cam: abandoned"]
    assert script.decisions[-1].saw["teardown_s"] == 0.3
    assert script.phase("cam") is Phase.BACKING_OFF


def test_a_stop_that_hangs_is_abandoned() -> None:
    """A component that never confirms its end is STOPPED all the same."""
    script = healthy()
    script.wants("cam", up=False)
    assert script.passes(4.0) == ["cam: abandoned"]
    assert script.phase("cam") is Phase.STOPPED


@pytest.mark.parametrize("built", [False, True])
def test_a_start_that_says_nothing_fails_by_its_deadline(*, built: bool) -> None:
    """One deadline covers the start and its proof: some failures give no message at all."""
    script = camera()
    if built:
        script.passes(10.0)
        script.started("cam")
    assert script.passes(14.9 - script.now_s) == []
    assert script.passes(0.1) == ["cam: start-deadline"]
    assert script.phase("cam") is Phase.TEARING_DOWN


def test_facts_of_an_old_epoch_are_counted_and_change_nothing() -> None:
    """A late message of a run that is over can't hurt the run after it."""
    script = healthy()
    script.breaks("cam", CRASHED)
    before = script["cam"]
    late = [script.started("cam", epoch=1), script.proved("cam", epoch=1)]
    late += [script.fails("cam", CRASHED, epoch=1), script.gone("cam", epoch=1)]
    assert late == [[], [], [], []]
    assert script["cam"] is before
    assert script.manager.late_facts == 4


def test_a_timer_that_was_set_anew_does_not_fire_for_the_old_one() -> None:
    """A Due on its way while a fault is decided is not taken for the teardown's deadline."""
    script = camera()
    script.passes(14.9)
    (due,) = list(script.manager.due(15.0))
    script.now_s = 15.0
    script.fails("cam", REFUSED)
    assert script.handle(due) == []
    assert script.phase("cam") is Phase.TEARING_DOWN
    assert script.passes(4.0) == ["cam: abandoned"]


def test_a_cancelled_timer_does_nothing() -> None:
    """A Due for a component without a timer is late."""
    script = healthy()
    assert script.handle(Due(id="cam")) == []
    assert script.manager.late_facts == 1


def test_facts_about_a_forgotten_component_are_late() -> None:
    """What was removed can't be brought back by a message."""
    script = Script()
    assert script.handle(Gone(id="cam", epoch=1)) == []
    assert script.manager.late_facts == 1


def test_the_lifetime_counter_is_never_reset() -> None:
    """Stable health and resets clear the attempts, and leave the restarts of its life."""
    script = healthy()
    for _ in range(3):
        script.breaks("cam", REFUSED)
        script.passes(1.0)
        script.comes_up("cam")
        script.passes(60.0)
    script.resets("cam")
    assert (script["cam"].attempts, script["cam"].restarts_total) == (0, 3)


# --- giving up --------------------------------------------------------------------------------


def test_a_fatal_fault_ends_in_failed_and_is_surfaced() -> None:
    """A wrong password is torn down, FAILED within one attempt, and left alone for ever."""
    script = camera()
    script.started("cam")
    assert script.breaks("cam", WRONG_PASSWORD) == ["cam: auth-never-worked", "cam: gone"]
    assert script.phase("cam") is Phase.FAILED
    assert script["cam"].ended_by == "auth-never-worked"
    assert script.passes(86_400.0) == []


def test_the_budget_is_a_sliding_window() -> None:
    """Five crashes in 60 s heal, and old ones leave the window; a sixth within it is a loop."""
    script = healthy()
    assert fails_again_and_again(script, CRASHED, 5) == ["crash-once", *["crash"] * 4]
    script.comes_up("cam")
    script.passes(58.0)
    assert fails_again_and_again(script, CRASHED, 1) == ["crash"]
    assert len(script["cam"].charged) == 3
    assert fails_again_and_again(script, CRASHED, 5) == [*["crash"] * 4, "budget-spent"]
    assert script.phase("cam") is Phase.FAILED


def test_network_faults_never_spend_the_budget() -> None:
    """A camera that is away for a night is waited for, for as long as it takes."""
    script = healthy()
    assert set(fails_again_and_again(script, REFUSED, 1000)) == {"network-errno"}
    assert script["cam"].charged == ()


def test_five_identical_faults_before_the_first_proof_are_poison() -> None:
    """What never worked and fails alike five times is the configuration, not the weather."""
    script = camera(replace(STEADY, budget=Budget(restarts=50)))
    assert fails_again_and_again(script, GARBAGE, 5) == [*["media"] * 4, "poison"]
    assert script.phase("cam") is Phase.FAILED
    script.wants("cam", digest="changed")
    assert fails_again_and_again(script, GARBAGE, 1) == ["media"]


def test_different_faults_are_no_poison() -> None:
    """The count starts anew with each other fault."""
    script = camera(replace(STEADY, budget=Budget(restarts=50)))
    for _ in range(5):
        assert fails_again_and_again(script, CRASHED, 2) == ["crash", "crash"]
        assert fails_again_and_again(script, ABORTED, 2) == ["crash", "crash"]


def test_a_component_that_worked_is_never_poisoned() -> None:
    """After a proof identical faults are weather."""
    script = healthy(replace(STEADY, budget=Budget(restarts=50)))
    assert "poison" not in fails_again_and_again(script, GARBAGE, 10)


def test_a_source_that_is_down_at_first_start_is_no_poison() -> None:
    """Network and not-found are excepted: it is retried like any other."""
    script = camera()
    assert set(fails_again_and_again(script, REFUSED, 50)) == {"network-errno"}


def test_give_up_after_attempts_counts_retries() -> None:
    """After that many retries the next fault ends in FAILED, even a network's."""
    script = healthy(replace(STEADY, give_up_after_attempts=3))
    assert fails_again_and_again(script, REFUSED, 4) == [*["network-errno"] * 3, "give-up"]
    assert script.phase("cam") is Phase.FAILED


def test_give_up_after_a_duration_counts_from_the_first_fault() -> None:
    """The clock of patience starts with the first fault, even at instant zero."""
    script = camera(replace(STEADY, give_up_after_s=3.0))
    assert fails_again_and_again(script, REFUSED, 4) == [*["network-errno"] * 3, "out-of-time"]


def test_stable_health_renews_the_patience() -> None:
    """An outage of yesterday is not counted today."""
    script = healthy(replace(STEADY, give_up_after_s=3.0))
    fails_again_and_again(script, REFUSED, 2)
    script.comes_up("cam")
    script.passes(3600.0)
    assert fails_again_and_again(script, REFUSED, 3) == ["network-errno"] * 3


# --- a dry run --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "fault", "proven", "rules"),
    [
        ({"budget": Budget(restarts=2)}, GARBAGE, True, ["media-once", "media", "budget-spent"]),
        ({}, GARBAGE, False, [*["media"] * 4, "poison"]),
        ({"give_up_after_attempts": 1}, REFUSED, True, ["network-errno", "give-up"]),
        ({"give_up_after_s": 1.0}, REFUSED, True, ["network-errno", "out-of-time"]),
    ],
)
def test_in_a_dry_run_no_limit_ends_anything(
    limits: dict[str, Any], fault: Fault, *, proven: bool, rules: list[str]
) -> None:
    """The rule says what would have been, with the same numbers, and the backoff goes on."""

    def ends(*, enforce: bool) -> Script:
        policy = replace(STEADY, **limits, enforce=enforce)
        script = healthy(policy) if proven else camera(policy)
        told = fails_again_and_again(script, fault, len(rules))
        would = rules if enforce else [*rules[:-1], f"would-{rules[-1]}"]
        assert told == would
        return script

    real, dry = ends(enforce=True), ends(enforce=False)
    assert (real.phase("cam"), real["cam"].ended_by) == (Phase.FAILED, rules[-1])
    assert (dry.phase("cam"), dry["cam"].ended_by) == (Phase.STARTING, None)
    (really,) = [it for it in real.decisions if it.rule == rules[-1]]
    (would,) = [it for it in dry.decisions if it.rule == f"would-{rules[-1]}"]
    assert {**really.saw, "delay_s": 1.0, "ceiling_s": 1.0} == would.saw
    more = set(fails_again_and_again(dry, fault, 50))
    assert more <= {f"would-{rules[-1]}", "would-budget-spent"}
    assert dry["cam"].attempts == len(rules) + 50


def test_in_a_dry_run_a_fatal_fault_is_fatal() -> None:
    """It is no limit of a policy: a refused password would lock the account."""
    script = camera(replace(STEADY, enforce=False))
    assert fails_again_and_again(script, WRONG_PASSWORD, 1) == ["auth-never-worked"]
    assert script.phase("cam") is Phase.FAILED


# --- out of FAILED ----------------------------------------------------------------------------


def given_up() -> Script:
    """Give a component in FAILED that is probed slowly."""
    script = healthy(replace(STEADY, give_up_after_attempts=1))
    fails_again_and_again(script, REFUSED, 2)
    assert script.phase("cam") is Phase.FAILED
    script.take()
    return script


def test_failed_is_probed_slowly() -> None:
    """Every `probe_every` one start goes out; a failure leads straight back, charged nothing."""
    script = given_up()
    assert script.passes(299.9) == []
    for epoch in (3, 4, 5):
        assert script.passes(0.1) == ["cam: slow-probe"]
        assert script.breaks("cam", REFUSED) == ["cam: probe-failed", "cam: gone"]
        assert script.take() == [f"start cam {epoch}", f"stop cam {epoch}"]
        script.passes(299.9)
    assert script["cam"].ended_by == "give-up"


def test_a_probe_that_succeeds_re_arms_it() -> None:
    """After one proof it has all of its patience again, and its past is kept until stable."""
    script = given_up()
    script.passes(300.0)
    script.comes_up("cam")
    assert (script.phase("cam"), script["cam"].ended_by) == (Phase.RUNNING, None)
    assert script["cam"].attempts == 1
    assert fails_again_and_again(script, REFUSED, 2) == ["network-errno", "give-up"]


def test_a_probe_that_succeeds_renews_the_patience_in_time() -> None:
    """The duration counts from the first fault after the success."""
    script = healthy(replace(STEADY, give_up_after_s=3.0))
    fails_again_and_again(script, REFUSED, 4)
    script.passes(300.0)
    script.comes_up("cam")
    assert fails_again_and_again(script, REFUSED, 1) == ["network-errno"]


def test_a_probe_that_meets_a_fatal_fault_is_the_last() -> None:
    """A probe that finds a password that never worked is not repeated."""
    script = camera(replace(STEADY, give_up_after_attempts=1))
    fails_again_and_again(script, REFUSED, 2)
    script.passes(300.0)
    script.breaks("cam", WRONG_PASSWORD)
    assert script.phase("cam") is Phase.FAILED
    assert script["cam"].due_s is None


def test_reset_re_arms_failed() -> None:
    """An operator's reset starts it at once with clean counters."""
    script = given_up()
    assert script.resets("cam") == ["cam: reset-commanded"]
    assert script.take() == ["start cam 3"]
    record = script["cam"]
    assert (record.attempts, record.charged, record.ended_by) == (0, (), None)


@pytest.mark.parametrize("command", [Script.resets, Script.restarts])
def test_a_command_re_arms_what_is_on_its_way_to_failed(
    command: Callable[[Script, str], list[str]],
) -> None:
    """A reset or restart that comes during the last teardown is not lost."""
    script = camera()
    script.fails("cam", WRONG_PASSWORD)
    command(script, "cam")
    script.take()
    script.gone("cam")
    assert script.take() == ["start cam 2"]


def test_reset_leaves_what_runs_alone() -> None:
    """A running component keeps running; only its counters are cleared."""
    script = healthy()
    script.breaks("cam", CRASHED)
    script.comes_up("cam")
    script.take()
    script.resets("cam")
    assert (script.phase("cam"), script["cam"].attempts) == (Phase.RUNNING, 0)
    assert script["cam"].due_s is None
    assert script.take() == []


def test_a_changed_configuration_re_arms_failed() -> None:
    """New settings are tried at once."""
    script = given_up()
    assert script.wants("cam", digest="changed") == ["cam: configuration-changed"]
    assert script.take() == ["start cam 3"]
    assert script["cam"].ended_by is None


# --- snapshots --------------------------------------------------------------------------------


def restores(script: Script) -> list[bool]:
    """Tell of each start so far whether it was to restore the snapshot."""
    return [action.restore for action in script.actions if isinstance(action, Start)]


def test_a_snapshot_that_two_starts_could_not_live_with_is_set_aside() -> None:
    """The third start is a clean one; after a proof snapshots are trusted again."""
    script = camera()
    fails_again_and_again(script, GARBAGE, 2)
    script.comes_up("cam")
    script.breaks("cam", GARBAGE)
    script.passes(1.0)
    assert restores(script) == [True, True, False, True]


def test_the_network_is_no_reason_to_doubt_a_snapshot() -> None:
    """A camera that is away says nothing about what was saved."""
    script = camera()
    fails_again_and_again(script, REFUSED, 5)
    assert restores(script) == [True] * 6


def test_a_fault_after_the_proof_is_no_reason_to_doubt_a_snapshot() -> None:
    """A start that proved itself has lived with its snapshot."""
    script = healthy(replace(STEADY, budget=Budget(restarts=50)))
    for _ in range(3):
        script.breaks("cam", GARBAGE)
        script.passes(1.0)
        script.comes_up("cam")
    assert restores(script) == [True] * 3


# --- what is refused --------------------------------------------------------------------------


def test_a_component_is_added_once_and_after_what_it_names() -> None:
    """Relations are checked when a component comes in."""
    manager = RecoveryManager(chance=lambda: 0.5)
    manager.add(Spec(id="worker", policy=STEADY))
    with pytest.raises(UsageError, match="exists already"):
        manager.add(Spec(id="worker", policy=STEADY))
    with pytest.raises(UsageError, match="'nobody', which does not exist"):
        manager.add(Spec(id="source", policy=STEADY, needs=("nobody",)))
    with pytest.raises(UsageError, match="does not need its parent 'worker'"):
        manager.add(Spec(id="source", policy=STEADY, parent="worker"))


def test_epochs_count_on_from_an_earlier_manager() -> None:
    """A component that is taken in again never reuses an epoch."""
    script = Script()
    script.manager.add(Spec(id="cam", policy=STEADY), epoch=41)
    script.wants("cam")
    assert script.take() == ["start cam 42"]


def test_only_what_is_stopped_and_not_needed_is_forgotten() -> None:
    """A component is removed after what stands on it, and never while it lives."""
    script = Script(
        Spec(id="worker", policy=STEADY),
        Spec(id="source", policy=STEADY, parent="worker", needs=("worker",), inside=True),
    )
    with pytest.raises(UsageError, match="still needed"):
        script.manager.remove("worker")
    script.manager.remove("source")
    script.wants("worker")
    with pytest.raises(UsageError, match="is starting: stop it first"):
        script.manager.remove("worker")
    script.wants("worker", up=False)
    script.gone("worker")
    script.manager.remove("worker")
    assert script.phases() == {}
    assert script.passes(3600.0) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"verify_for_s": 15.0}, "verify_for_s is 15.0"),
        ({"backoff": Backoff(base_s=25.0, cap_s=40.0)}, "can never be reached"),
        ({"backoff": Backoff(base_s=20.0, jitter="decorrelated")}, "can never be reached"),
        ({"backoff": Backoff(base_s=20.0, jitter="none")}, "can never be reached"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(wrong: dict[str, Any], told: str) -> None:
    """Numbers that can't hold together are refused at construction."""
    with pytest.raises(ValueError, match=told):
        RecoveryPolicy(**wrong)


def test_a_limit_that_any_schedule_can_reach_is_accepted() -> None:
    """Full jitter may draw nothing but zeros."""
    RecoveryPolicy(backoff=Backoff(base_s=20.0, cap_s=20.0, jitter="full"))


def test_a_limit_of_a_milliard_is_judged_at_once() -> None:
    """The sum of so many waits is not added up one by one."""
    with pytest.raises(ValueError, match=r"at least 1\.5e\+10 s: the limit can never be reached"):
        RecoveryPolicy(budget=Budget(restarts=10**9))


@pytest.mark.parametrize(
    ("rules", "odd"),
    [
        ({"stable_for_s": 59.0}, "stable_for_s is 59.0, less than twice cap_s (30.0)"),
        (
            {"give_up_after_attempts": 6, "give_up_after_s": 7.5},
            "give_up_after_attempts is 6, but the last of them begins after 7.5 s at the soonest",
        ),
    ],
)
def test_what_is_possible_but_odd_is_told(rules: dict[str, Any], odd: str) -> None:
    """One sentence each, with the field and its value."""
    (told,) = RecoveryPolicy(**rules).oddities()
    assert odd in told


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"give_up_after_attempts": 6},
        {"give_up_after_s": 1.0},
        {"give_up_after_attempts": 6, "give_up_after_s": 7.6},
        {"give_up_after_attempts": 1, "give_up_after_s": 0.1},
    ],
)
def test_ordinary_rules_are_not_odd(rules: dict[str, Any]) -> None:
    """Of two limits each can be the first."""
    assert list(RecoveryPolicy(**rules).oddities()) == []


def test_a_manager_that_was_stuck_gives_what_was_due_as_much_more_time() -> None:
    """A start and a teardown are judged later; what has no deadline stays as it is."""
    script = camera()
    script.manager.add(Spec(id="idle", policy=STEADY))
    assert [script.handle(it) for it in script.manager.deaf(40.0)] == [["cam: manager-was-late"]]
    assert script.decisions[-1].saw == {"late_s": 40.0}
    assert script.passes(54.9) == []
    assert script.passes(0.1) == ["cam: start-deadline"]
    assert [script.handle(it) for it in script.manager.deaf(10.0)] == [["cam: manager-was-late"]]
    assert script.passes(13.9) == []
    assert script.passes(0.1) == ["cam: abandoned"]
