"""What outlived its manager goes on as the run that it is, counted as before, and explained."""

import json
from dataclasses import replace

from stream_manager.recovery import (
    Adopted,
    Backoff,
    Budget,
    Fault,
    Phase,
    Record,
    RecoveryPolicy,
    Spec,
    describe,
    exit_fault,
    revive,
    save,
    was_ending,
)
from stream_manager.recovery.engine import decide
from stream_manager.recovery.steps import Context
from stream_manager.testing import Script

POLICY = RecoveryPolicy(
    backoff=Backoff(base_s=4.0, factor=2.0, cap_s=30.0, jitter="none"),
    budget=Budget(restarts=3, within_s=60.0),
)
SPECS = (
    Spec(id="cam", policy=POLICY, proven_by="cam/source"),
    Spec(id="cam/source", policy=POLICY, parent="cam", needs=("cam",), inside=True),
)
GARBAGE = Fault(origin="h264parse", code="gst-stream-error:7", text="broken")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)


def before_the_kill(*, proven: bool = True) -> Script:
    """Give a stream that runs, with a worker and a source, which is proven or starts yet."""
    script = Script(*SPECS)
    script.wants("cam")
    script.wants("cam/source")
    script.started("cam")
    if proven:
        script.comes_up("cam/source")
    script.take()
    return script


def after_the_kill(script: Script, *, later_s: float = 1.0) -> tuple[Script, dict[str, bool]]:
    """Give the next manager, and for each component whether its run was to be torn down."""
    saved = {id_: json.loads(json.dumps(save(script[id_]))) for id_ in script.phases()}
    following = Script()
    following.now_s = script.now_s + later_s
    for spec in SPECS:
        record = revive(spec, saved[spec.id], now_s=following.now_s, moved_s=0.0)
        following.manager.take(record)
    ending = {id_: was_ending(saved[id_], script[id_].epoch) for id_ in saved}
    return following, ending


def adopts(script: Script, id_: str, epoch: int, *, ending: bool = False) -> list[str]:
    """Let a component be adopted."""
    return script.handle(Adopted(id=id_, epoch=epoch, digest="as configured", ending=ending))


def test_what_ran_runs_on_and_nothing_is_begun_or_charged() -> None:
    """Its epoch and counters stay, it is proven by its own media, and said to be adopted."""
    before = before_the_kill()
    before.breaks("cam/source", GARBAGE)
    before.passes(4.0)
    before.comes_up("cam/source")
    script, ending = after_the_kill(before)
    assert ending == {"cam": False, "cam/source": False}
    told = adopts(script, "cam", 1) + script.started("cam") + adopts(script, "cam/source", 2)
    assert told == ["cam: adopted", "cam: started", "cam/source: adopted"]
    assert script.comes_up("cam/source") == [
        "cam/source: started",
        "cam/source: proved",
        "cam: proved",
    ]
    assert script.take() == []
    assert script["cam/source"].restarts_total == before["cam/source"].restarts_total == 1
    assert script["cam/source"].charged == before["cam/source"].charged
    assert script["cam/source"].attempts == 1
    assert "as run 2" in describe(script.decisions[2], wall=str)
    assert script.passes(60.0) == ["cam/source: stable"]


def test_a_run_that_brings_no_proof_is_found_by_its_deadline() -> None:
    """An adoption is no trust without end: media must advance as after a start."""
    script, _ = after_the_kill(before_the_kill())
    adopts(script, "cam", 1)
    script.started("cam")
    adopts(script, "cam/source", 1)
    assert script.passes(POLICY.start_deadline_s) == ["cam/source: start-deadline"]
    assert script.take() == ["stop cam/source 1"]


def test_a_teardown_that_was_decided_is_carried_out_and_then_waits_as_long_as_it_would() -> None:
    """A kill between the decision and the order, or amid the teardown, changes nothing."""
    before = before_the_kill()
    for _ in range(2):
        before.breaks("cam/source", GARBAGE)
        before.passes(10.0)
        before.comes_up("cam/source")
    before.fails("cam/source", GARBAGE)
    resume_s = before["cam/source"].resume_s
    script, ending = after_the_kill(before)
    assert ending == {"cam": False, "cam/source": True}
    adopts(script, "cam", 1)
    script.started("cam")
    assert adopts(script, "cam/source", 3, ending=True) == ["cam/source: adopted-ending"]
    assert script.take() == ["stop cam/source 3"]
    assert script.fails("cam/source", GARBAGE) == []  # what was retold is known already
    script.gone("cam/source")
    assert script.phase("cam/source") is Phase.BACKING_OFF
    assert script["cam/source"].due_s == resume_s
    assert script["cam/source"].charged == before["cam/source"].charged


def test_what_was_about_to_fail_for_good_fails_for_good() -> None:
    """A refused password is not tried again because a manager was killed."""
    before = before_the_kill(proven=False)
    before.fails("cam/source", WRONG_PASSWORD)
    script, ending = after_the_kill(before)
    assert ending["cam/source"]
    adopts(script, "cam", 1)
    script.started("cam")
    adopts(script, "cam/source", 1, ending=True)
    script.gone("cam/source")
    assert script.phase("cam/source") is Phase.FAILED


def test_a_slow_probe_that_outlives_its_manager_is_one_still() -> None:
    """Its failure leads to FAILED again, whatever its budget would allow."""
    before = before_the_kill()
    before.breaks("cam", exit_fault(2))
    before.passes(POLICY.probe_every_s)
    assert before["cam"].probing
    script, _ = after_the_kill(before)
    adopts(script, "cam", 2)
    script.started("cam")
    assert script["cam"].probing
    script.breaks("cam", exit_fault(-11))
    assert script.phase("cam") is Phase.FAILED


def test_one_that_was_never_counted_is_adopted_as_it_is() -> None:
    """Where the store lost its last moments, or all of them, the worker's word counts."""
    script = Script(*SPECS)
    assert adopts(script, "cam", 7) == ["cam: adopted"]
    assert (script["cam"].epoch, script["cam"].wanted) == (7, True)
    script.breaks("cam", exit_fault(-11))
    script.passes(POLICY.backoff.base_s)
    assert script.take() == ["stop cam 7", "start cam 8"]


def test_a_teardown_under_an_incident_is_carried_out_in_its_queue() -> None:
    """Its domain was taken up first and holds it: it is torn down all the same, and waits there."""
    spec = Spec(id="part", policy=POLICY, domains=("host:a",))
    script = Script(spec)
    record = replace(script["part"], phase=Phase.PARKED, resume_s=9.0, wanted=True, epoch=2)
    context = Context(now_s=1.0, chance=lambda: 0.5)
    for held_by in (None, "host:a"):
        event = Adopted(id="part", epoch=2, digest="", ending=True)
        after = decided_by(replace(record, held_by=held_by), event, context)
        assert (after.phase, after.resume_s, after.held_by) == (Phase.TEARING_DOWN, 9.0, held_by)
    alive = decided_by(record, Adopted(id="part", epoch=2, digest=""), context)
    assert (alive.phase, alive.held_by) == (Phase.STARTING, None)


def decided_by(record: Record, event: Adopted, context: Context) -> Record:
    """Return what an adoption makes of a record."""
    decision = decide(record, event, context)
    assert decision is not None
    return decision.after
