"""A stream as the product builds it: a worker, its source, its recorder, healed step by step."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stream_manager.recovery import (
    Backoff,
    Budget,
    Fault,
    Phase,
    RecoveryPolicy,
    Spec,
    Start,
    exit_fault,
)
from stream_manager.testing import Script

WORKER, SOURCE, RECORD = IDS = ("door", "door/source", "door/record")
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))
REFUSED = Fault(origin="connect", code="ECONNREFUSED")
GARBAGE = Fault(origin="h264parse", code="gst-stream-error:7")
DISK_FULL = Fault(origin="filesink", code="gst-resource-error:14")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)
CRASHED = exit_fault(-11)


def door(policy: RecoveryPolicy = POLICY) -> Script:
    """Give one stream, not wanted yet."""
    return Script(
        Spec(id=WORKER, policy=policy, proven_by=SOURCE),
        Spec(id=SOURCE, policy=policy, parent=WORKER, needs=(WORKER,), inside=True),
        Spec(id=RECORD, policy=policy, parent=WORKER, needs=(WORKER, SOURCE), inside=True),
    )


def wanted(script: Script) -> Script:
    """Want all of the stream, as its configuration does."""
    for id_ in IDS:
        script.wants(id_)
    return script


def recording(policy: RecoveryPolicy = POLICY) -> Script:
    """Give a stream that has been recorded for an hour."""
    script = wanted(door(policy))
    comes_back(script)
    script.passes(3600.0)
    script.take()
    return script


def comes_back(script: Script) -> list[str]:
    """Let everything that is starting be built and proven, bottom up."""
    told = script.started(WORKER) if script.phase(WORKER) is Phase.STARTING else []
    told += script.started(SOURCE) if script.phase(SOURCE) is Phase.STARTING else []
    for id_ in (SOURCE, RECORD):
        if script.phase(id_) is Phase.VERIFYING:
            told += script.proved(id_)
        elif script.phase(id_) is Phase.STARTING:
            told += script.comes_up(id_)
    return told


def loops(script: Script, id_: str, fault: Fault, times: int) -> list[str]:
    """Let one component fail so often, each time as soon as it starts; tell its own rules."""
    told = []
    for _ in range(times):
        told.append(script.fails(id_, fault)[0].removeprefix(f"{id_}: "))
        if script.phase(id_) is Phase.TEARING_DOWN:
            script.gone(id_)
            script.passes(1.0)
    return told


def test_recovery_starts_a_stream_in_the_order_of_its_needs() -> None:
    """The worker, then its source, then its recorder; the source's media proves the worker."""
    script = wanted(door())
    assert script.take() == ["start door 1"]
    assert script.started(WORKER) == ["door: started", "door/source: need-is-up"]
    assert script.take() == ["start door/source 1"]
    assert script.started(SOURCE) == ["door/source: started", "door/record: need-is-up"]
    assert script.proved(SOURCE) == ["door/source: proved", "door: proved"]
    script.comes_up(RECORD)
    assert set(script.phases().values()) == {Phase.RUNNING}


def test_recovery_from_a_worker_crash_restarts_all_of_it_and_charges_the_worker_alone() -> None:
    """SIGSEGV: one step down for everyone, one start at once, in order, and one attempt charged."""
    script = recording()
    assert script.fails(WORKER, CRASHED) == [
        "door: crash-once",
        "door/source: need-is-down",
        "door/record: need-is-down",
    ]
    script.gone(WORKER)
    assert script.take() == ["stop door 1", "start door 2"]
    comes_back(script)
    assert script.take() == ["start door/source 2", "start door/record 2"]
    assert [script[id_].attempts for id_ in IDS] == [1, 0, 0]
    assert [script[id_].restarts_total for id_ in IDS] == [1, 0, 0]
    assert [len(script[id_].charged) for id_ in IDS] == [1, 0, 0]


def test_recovery_from_a_camera_reboot_keeps_the_worker() -> None:
    """While the camera is away the source retries in its process; the recorder waits, uncharged."""
    script = recording()
    assert loops(script, SOURCE, REFUSED, 90) == ["network-errno"] * 90
    assert script.phase(RECORD) is Phase.PARKED
    assert script.phase(WORKER) is Phase.VERIFYING
    comes_back(script)
    assert set(script.phases().values()) == {Phase.RUNNING}
    assert [script[id_].epoch for id_ in IDS] == [1, 91, 2]
    assert script[RECORD].attempts == script[WORKER].attempts == 0


def test_recovery_of_a_full_disk_leaves_source_and_worker_alone() -> None:
    """The recorder retries by its backoff for as long as it takes; nobody else is touched."""
    script = recording()
    before = [script[WORKER], script[SOURCE]]
    assert loops(script, RECORD, DISK_FULL, 50) == ["no-space"] * 50
    assert script[RECORD].charged == ()
    assert [script[WORKER], script[SOURCE]] == before


def test_recovery_escalates_a_spent_budget_to_the_worker() -> None:
    """A sixth media fault within the window replaces the process; the child's window is new."""
    script = recording()
    loops(script, RECORD, GARBAGE, 5)
    script.take()
    told = script.fails(RECORD, GARBAGE)
    assert told[:2] == ["door/record: budget-spent", "door: escalated"]
    assert script.take() == ["stop door 1"]
    assert script[RECORD].charged == ()
    assert (last := script[WORKER].last) is not None
    assert last.fault == GARBAGE
    script.gone(WORKER)
    script.passes(1.0)
    comes_back(script)
    assert set(script.phases().values()) == {Phase.RUNNING}


def test_recovery_that_escalates_too_often_ends_in_failed_and_visible() -> None:
    """When new processes do not help either, the worker fails; its children wait under it."""
    script = recording(replace(POLICY, budget=Budget(restarts=2, within_s=600.0)))
    for _ in range(3):
        loops(script, SOURCE, GARBAGE, 3)
        script.gone(WORKER)
        script.passes(1.0)
        comes_back(script)
    assert [script.phase(id_) for id_ in IDS] == [Phase.FAILED, Phase.PARKED, Phase.PARKED]
    assert script[WORKER].ended_by == "budget-spent"
    script.take()
    script.passes(300.0)
    assert script.take() == ["start door 4"]
    comes_back(script)
    assert set(script.phases().values()) == {Phase.RUNNING}


def test_recovery_of_a_hung_teardown_replaces_the_process() -> None:
    """A source that can't be torn down costs the worker its process, charged as a hang."""
    script = recording()
    script.fails(SOURCE, REFUSED)
    script.take()
    told = script.passes(4.0)
    assert told[:2] == ["door/source: abandoned", "door: escalated"]
    assert script.take() == ["stop door 1"]
    assert script.phase(SOURCE) is Phase.PARKED
    script.gone(WORKER)
    script.passes(1.0)
    comes_back(script)
    assert script[SOURCE].epoch == 2


def test_recovery_keeps_the_remaining_delay_of_what_is_parked() -> None:
    """A source that backs off while its worker is replaced is not started before its time."""
    slow = Backoff(base_s=20.0, factor=1.0, cap_s=20.0, jitter="none")
    script = recording(replace(POLICY, backoff=slow, budget=Budget(restarts=2)))
    script.breaks(SOURCE, REFUSED)
    script.fails(WORKER, CRASHED)
    assert script.phase(SOURCE) is Phase.PARKED
    script.passes(3.0)
    script.gone(WORKER)
    script.passes(2.0)
    assert script.started(WORKER) == ["door: started", "door/source: need-is-up"]
    assert script.phase(SOURCE) is Phase.BACKING_OFF
    script.take()
    script.passes(14.9)
    assert script.take() == []
    script.passes(0.1)
    assert script.take() == ["start door/source 2"]


def test_recovery_forgives_the_worker_only_while_its_media_flows() -> None:
    """`stable_for` of a worker counts from its source's proof, and starts anew with each."""
    script = recording()
    script.breaks(WORKER, CRASHED)
    comes_back(script)
    script.passes(50.0)
    script.breaks(SOURCE, REFUSED)
    assert script.phase(WORKER) is Phase.VERIFYING
    script.passes(14.0)
    assert script[WORKER].attempts == 1
    comes_back(script)
    script.passes(59.0)
    assert script[WORKER].attempts == 1
    assert "door: stable" in script.passes(1.0)
    assert script[WORKER].attempts == 0


def test_recovery_gives_a_worker_no_deadline_of_its_own() -> None:
    """What its source proves waits as long as the source does."""
    script = wanted(door())
    script.started(WORKER)
    loops(script, SOURCE, REFUSED, 60)
    assert script.phase(WORKER) is Phase.VERIFYING
    assert script[WORKER].due_s is None


def test_recovery_of_a_wrong_password_stops_the_source_and_nobody_else() -> None:
    """The source is FAILED within one attempt; the recorder waits for it."""
    script = wanted(door())
    script.started(WORKER)
    script.started(SOURCE)
    script.breaks(SOURCE, WRONG_PASSWORD)
    assert [script.phase(id_) for id_ in IDS] == [Phase.VERIFYING, Phase.FAILED, Phase.PARKED]


@pytest.mark.parametrize("command", [Script.restarts, Script.resets])
def test_recovery_of_a_failed_child_through_its_parent(
    command: Callable[[Script, str], list[str]],
) -> None:
    """A restart or a reset of the stream re-arms its FAILED source too."""
    script = wanted(door())
    script.started(WORKER)
    script.started(SOURCE)
    script.breaks(SOURCE, WRONG_PASSWORD)
    command(script, WORKER)
    if script.phase(WORKER) is Phase.TEARING_DOWN:
        script.gone(WORKER)
    comes_back(script)
    assert set(script.phases().values()) == {Phase.RUNNING}


def test_recovery_of_a_failed_probe_of_a_child_goes_with_its_worker() -> None:
    """A probing source whose worker crashes is FAILED again, not parked as if it were healthy."""
    script = recording(replace(POLICY, give_up_after_attempts=1))
    loops(script, SOURCE, REFUSED, 2)
    assert script.phase(SOURCE) is Phase.FAILED
    script.passes(300.0)
    assert script[SOURCE].probing
    script.fails(WORKER, CRASHED)
    assert script.phase(SOURCE) is Phase.FAILED
    assert script[SOURCE].due_s is not None


def test_recovery_postpones_a_probe_whose_worker_is_away() -> None:
    """A FAILED source is not probed without a process to run in; its turn comes again."""
    script = recording(replace(POLICY, give_up_after_attempts=1))
    loops(script, SOURCE, REFUSED, 2)
    script.passes(299.0 - 1.0)
    script.fails(WORKER, CRASHED)
    assert "door/source: probe-postponed" in script.passes(2.0)
    assert script.phase(SOURCE) is Phase.FAILED
    assert script[SOURCE].due_s is not None


def test_recovery_of_a_child_that_was_ending_in_failed_goes_on_to_failed() -> None:
    """A worker that dies during its source's last teardown does not revive the source."""
    script = wanted(door())
    script.started(WORKER)
    script.started(SOURCE)
    script.fails(SOURCE, WRONG_PASSWORD)
    script.fails(WORKER, CRASHED)
    assert script.phase(SOURCE) is Phase.FAILED


def test_recovery_stops_a_stream_whichever_goes_first() -> None:
    """A worker's end confirms the end of what runs in it."""
    script = recording()
    for id_ in IDS[::-1]:
        script.wants(id_, up=False)
    script.gone(WORKER)
    assert set(script.phases().values()) == {Phase.STOPPED}
    script = recording()
    for id_ in IDS:
        script.wants(id_, up=False)
    script.gone(WORKER)
    assert set(script.phases().values()) == {Phase.STOPPED}


def restores(script: Script, id_: str) -> list[bool]:
    """Tell of each start of a component so far whether it was to restore the snapshot."""
    return [
        action.restore
        for action in script.actions
        if isinstance(action, Start) and action.id == id_
    ]


def test_recovery_doubts_a_snapshot_after_two_crashes_of_the_process_that_restored_it() -> None:
    """Crashes while a recorder verifies are blamed on what it restored, as its own faults are."""
    script = recording()
    for _ in range(3):
        script.breaks(WORKER, CRASHED)
        script.passes(1.0)
        script.started(WORKER)
        script.comes_up(SOURCE)
    assert restores(script, RECORD) == [True, True, False]


def test_recovery_trusts_a_snapshot_that_its_source_or_an_operator_interrupted() -> None:
    """A camera that goes away again, or a commanded restart, says nothing about the snapshot."""
    script = recording()
    for _ in range(3):
        script.breaks(SOURCE, REFUSED)
        script.passes(1.0)
        script.comes_up(SOURCE)
    for _ in range(3):
        script.restarts(WORKER)
        script.gone(WORKER)
        script.started(WORKER)
        script.comes_up(SOURCE)
    assert restores(script, RECORD) == [True] * 6
