"""Counters outlive the manager: one that crashes forgives its components nothing."""

import json
import re
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Backoff,
    Budget,
    Fault,
    IncidentPolicy,
    IncidentState,
    Phase,
    Record,
    RecoveryPolicy,
    Spec,
    describe,
    exit_fault,
    explain,
    revive,
    save,
)
from stream_manager.testing import Script

POLICY = RecoveryPolicy(
    backoff=Backoff(base_s=4.0, factor=2.0, cap_s=30.0, jitter="none"),
    budget=Budget(restarts=3, within_s=60.0),
)
SPEC = Spec(id="cam", policy=POLICY)
CRASHED = exit_fault(-11)
REFUSED = Fault(origin="connect", code="ECONNREFUSED")
GARBAGE = Fault(origin="h264parse", code="gst-stream-error:7", text="broken")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)


def crashing(times: int) -> Script:
    """Give a component that has failed so often, and waits for its next attempt."""
    script = Script(SPEC)
    script.wants("cam")
    script.comes_up("cam")
    for _ in range(times):
        script.passes(40.0)
        script.breaks("cam", GARBAGE)
    return script


def after_a_crash(script: Script, *, later_s: float = 1.0, moved_s: float = 0.0) -> Script:
    """Give the next manager, which finds what the one before has saved."""
    saved = json.loads(json.dumps(save(script["cam"])))
    now_s = script.now_s + moved_s + later_s
    following = Script()
    following.now_s = now_s
    following.manager.take(revive(SPEC, saved, now_s=now_s, moved_s=moved_s))
    return following


def test_attempts_budget_and_wait_go_on_where_they_were() -> None:
    """A manager that was killed in the middle of a wait starts nothing before it is over."""
    script = crashing(3)
    before = script["cam"]
    following = after_a_crash(script)
    after = following["cam"]
    assert (after.phase, after.attempts, after.charged) == (
        Phase.BACKING_OFF,
        before.attempts,
        before.charged,
    )
    assert following.wants("cam") == []
    left_s = (before.due_s or 0.0) - following.now_s
    following.passes(left_s - 0.1)
    assert following.take() == []
    following.passes(0.1)
    assert following.take() == [f"start cam {before.epoch + 1}"]


def test_what_ran_starts_at_once_and_is_not_forgiven() -> None:
    """`stable_for` is counted anew: nobody saw whether it was healthy meanwhile."""
    script = crashing(1)
    script.passes(10.0)
    script.comes_up("cam")
    following = after_a_crash(script)
    following.passes(0.0)
    assert following.take() == [f"start cam {script['cam'].epoch + 1}"]
    assert following["cam"].attempts == 1


def test_what_has_never_failed_starts_at_once() -> None:
    """There is nothing to remember but that it is wanted, and its epoch."""
    script = crashing(0)
    following = after_a_crash(script)
    following.passes(0.0)
    assert following.take() == ["start cam 2"]
    assert following["cam"].last is None
    assert following.decisions[-1].rule == "ran-before"
    assert "ran under an earlier manager" in describe(following.decisions[-1], wall=str)


def test_failed_stays_failed_until_its_probe_or_a_changed_configuration() -> None:
    """A manager that restarts does not try a refused password again."""
    script = Script(SPEC)
    script.wants("cam")
    script.started("cam")
    script.breaks("cam", WRONG_PASSWORD)
    following = after_a_crash(script)
    following.wants("cam")
    following.passes(100_000.0)
    assert following.take() == []
    assert following["cam"].ended_by == "auth-never-worked"
    following.wants("cam", digest="another password")
    assert following.take() == ["start cam 2"]


def test_a_probe_of_what_failed_keeps_its_time() -> None:
    """The slow probe comes when it would have come."""
    script = Script(replace(SPEC, policy=replace(POLICY, give_up_after_attempts=1)))
    script.wants("cam")
    for _ in range(2):
        script.breaks("cam", CRASHED)
        script.passes(10.0)
    assert script.phase("cam") is Phase.FAILED
    following = after_a_crash(script)
    assert following["cam"].due_s == script["cam"].due_s


def test_what_was_about_to_fail_for_good_has_failed() -> None:
    """A kill between a refused password and the end of its teardown buys no second attempt."""
    script = Script(SPEC)
    script.wants("cam")
    script.started("cam")
    script.fails("cam", WRONG_PASSWORD)
    assert script.phase("cam") is Phase.TEARING_DOWN
    following = after_a_crash(script)
    assert (following.phase("cam"), following["cam"].due_s) == (Phase.FAILED, None)


def test_a_probe_that_the_crash_cut_short_is_made_again_when_the_next_one_is_due() -> None:
    """Else each crash of the manager would be a fresh start for what has failed."""
    script = Script(replace(SPEC, policy=replace(POLICY, give_up_after_attempts=1)))
    script.wants("cam")
    for _ in range(2):
        script.breaks("cam", CRASHED)
        script.passes(10.0)
    script.passes(POLICY.probe_every_s)
    assert (script.phase("cam"), script["cam"].probing) == (Phase.STARTING, True)
    following = after_a_crash(script)
    assert (following.phase("cam"), following["cam"].probing) == (Phase.FAILED, False)
    assert following["cam"].due_s == following.now_s + POLICY.probe_every_s


def outage(number: int, domain: str = "host:a") -> Script:
    """Give members of a host that have been parked for half a minute."""
    ids = [f"cam{it}" for it in range(number)]
    script = Script(*(Spec(id=id_, policy=POLICY, domains=(domain,)) for id_ in ids))
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
    script.passes(100.0)
    for id_ in ids:
        script.breaks(id_, REFUSED)
    for _ in range(15):
        script.passes(2.0)
        for id_ in ids:
            if script.phase(id_) is Phase.STARTING:
                script.breaks(id_, REFUSED)
    return script


def taken_up(
    script: Script,
    *,
    domains: tuple[str, ...] = ("host:a",),
    incidents: IncidentPolicy | None = None,
) -> Script:
    """Give the next manager, which takes all of them up a second later."""
    following = Script(incidents=incidents)
    following.now_s = script.now_s + 1.0
    for record in script.manager.records.values():
        saved = json.loads(json.dumps(save(record)))
        spec = replace(record.spec, domains=domains)
        following.manager.take(revive(spec, saved, now_s=following.now_s, moved_s=0.0))
    return following


def test_what_was_parked_waits_again_and_one_at_a_time_tries() -> None:
    """A thousand members of a dead host do not start at once because their manager crashed."""
    following = taken_up(outage(1000))
    following.passes(10.0)
    assert len(following.take()) == 1
    (incident,) = following.manager.incidents.values()
    assert (incident.state, incident.cause.value) == (IncidentState.OPEN, "network")
    assert (incident.members, incident.waiting, incident.probe) == (1000, 999, "cam0")
    assert incident.since_s == incident.opened_s == 100.0
    assert incident.root_of == "cam15"  # the first that was not a probe since
    said = explain(following["cam7"], now_s=following.now_s, wall=str, incident=incident)
    assert said[2].startswith("The manager before this one had opened it. The first was cam")
    following.comes_up("cam0")
    assert len(following.take()) == 20


def test_what_was_parked_by_a_domain_that_is_none_of_its_own_now_starts_at_once() -> None:
    """The configuration has changed meanwhile; or incidents are but a dry run."""
    for following in (
        taken_up(outage(3), domains=("host:b",)),
        taken_up(outage(3), incidents=IncidentPolicy(enforce=False)),
    ):
        following.passes(0.0)
        assert len(following.take()) == 3
        assert following.manager.incidents == {}
        assert {it.held_by for it in following.manager.records.values()} == {None}


def test_a_fault_of_ones_own_forms_no_incident_anew() -> None:
    """cam0 met broken media as the last probe: what the others failed by is the domain's cause."""
    script = outage(3)
    script.passes(2.0)
    (probe,) = (id_ for id_, phase in script.phases().items() if phase is Phase.STARTING)
    script.breaks(probe, GARBAGE)
    following = taken_up(script)
    assert following.manager.incidents["host:a"].cause.value == "network"
    following.passes(1.0)
    assert following.phase(probe) in {Phase.PARKED, Phase.STARTING}
    assert len(following.take()) == 1


def test_who_is_taken_up_when_the_others_come_back_already_starts_at_once() -> None:
    """Its old process took long to end; the host is well by now."""
    script = outage(3)
    following = taken_up(script)
    late = save(script["cam2"])
    following.wants("cam2", up=False)
    following.passes(0.0)
    following.comes_up("cam0")
    following.manager.resume(
        revive(following["cam2"].spec, late, now_s=following.now_s, moved_s=0.0)
    )
    following.take()
    following.passes(0.0)
    assert following.take() == [f"start cam2 {script['cam2'].epoch + 1}"]


def test_only_what_is_stopped_goes_on_where_it_was() -> None:
    """The record of what runs is not put aside for an older one."""
    script = Script(SPEC)
    stopped = script["cam"]
    script.manager.resume(replace(stopped, restarts_total=7))
    script.wants("cam")
    with pytest.raises(UsageError, match=r"cam.*starting"):
        script.manager.resume(stopped)
    assert script["cam"].restarts_total == 7


def test_a_stopped_component_that_goes_on_keeps_its_wait() -> None:
    """It may be there before it may start; from then on its timer runs."""
    script = crashing(3)
    left = script["cam"]
    following = Script(SPEC)
    following.now_s = script.now_s + 1.0
    following.manager.resume(revive(SPEC, save(left), now_s=following.now_s, moved_s=0.0))
    assert following.manager.next_due_s() == left.due_s


def test_after_another_boot_times_are_as_near_as_the_wall_clock_is() -> None:
    """The monotonic clock begins anew: all instants move, and no wait exceeds the schedule."""
    script = crashing(2)
    following = after_a_crash(script, moved_s=-script.now_s - 500.0)
    after = following["cam"]
    assert after.charged == pytest.approx(
        [it - script.now_s - 500.0 for it in script["cam"].charged]
    )
    wild = revive(SPEC, save(script["cam"]), now_s=10.0, moved_s=1e9)
    assert wild.due_s == 10.0 + POLICY.backoff.cap_s
    assert max(wild.charged) == 10.0


def test_what_nobody_wanted_is_not_started() -> None:
    """An operator's stop is one after the manager's crash, too."""
    script = crashing(1)
    script.wants("cam", up=False)
    following = after_a_crash(script)
    assert following.phase("cam") is Phase.STOPPED
    assert following.wants("cam") == ["cam: wanted"]


NO_COUNTS: tuple[object, ...] = (None, "3", -5, 1.5, inf, nan, True, 10**400)
NO_INSTANTS: tuple[object, ...] = ("soon", nan, inf, True, 1e300)
NO_FLAGS: tuple[object, ...] = (None, "false", 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("attempts", "epoch", "excused") for value in NO_COUNTS),
        *((name, None) for name in ("restarts_total", "same_faults", "restore_failures")),
        *((name, value) for name in ("due_s", "failing_since_s") for value in NO_INSTANTS),
        *((name, value) for name in ("wanted", "proven", "gives_up") for value in NO_FLAGS),
        *(("delay_s", value) for value in (None, -1.0, nan, "x")),
        *(("charged", value) for value in (None, "x", [1.0, "x"], [nan])),
        *(("phase", value) for value in (None, "dancing", 7)),
        *((name, 7) for name in ("digest", "ended_by", "last")),
    ],
)
def test_counters_that_can_not_have_been_are_refused(name: str, value: object) -> None:
    """Whole, by the field's name and its value: who reads them begins anew."""
    saved = save(crashing(2)["cam"]) | {name: value}
    with pytest.raises(ValueError, match=rf"^{name} is .*: expected "):
        revive(SPEC, saved, now_s=1.0, moved_s=0.0)
    with pytest.raises(ValueError, match=rf"^{name} is .*: expected "):
        revive(SPEC, saved | {"wanted": False, name: value}, now_s=1.0, moved_s=0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("at_s", value) for value in (None, *NO_INSTANTS)),
        *((name, value) for name in ("charged", "probed") for value in NO_FLAGS),
        *((name, value) for name in ("cause", "class", "name") for value in (None, 7)),
        *((name, value) for name in ("origin", "code", "text") for value in (None, 7)),
        *(("status", value) for value in ("401", -1, 1.5)),
        ("fault", 7),
    ],
)
def test_a_saved_fault_that_can_not_have_been_is_refused(name: str, value: object) -> None:
    """As the counters are."""
    saved = save(crashing(2)["cam"])
    last = saved["last"]
    (last["fault"] if name in last["fault"] else last)[name] = value
    with pytest.raises(ValueError, match=rf"^{name} is .*: expected "):
        revive(SPEC, saved, now_s=1.0, moved_s=0.0)


@pytest.mark.parametrize("lacking", [{"last": {"at_s": 1.0}}, {"last": {"fault": {}}}])
def test_counters_that_lack_something_are_refused(lacking: dict[str, Any]) -> None:
    """The error names the component, and what is not there."""
    for saved in (save(crashing(2)["cam"]) | lacking, {}):
        with pytest.raises(ValueError, match=r"^the saved counters of cam can't be read: KeyError"):
            revive(SPEC, saved, now_s=1.0, moved_s=0.0)


@pytest.mark.parametrize("moved_s", [nan, inf, 1e300])
def test_a_boot_that_can_not_have_been_is_refused(moved_s: float) -> None:
    """An instant that is no number would never come."""
    with pytest.raises(ValueError, match=f"moved_s is {re.escape(repr(moved_s))}: expected"):
        revive(SPEC, save(crashing(2)["cam"]), now_s=1.0, moved_s=moved_s)


def test_a_probe_of_what_failed_comes_after_its_time_at_the_latest() -> None:
    """A wall clock that was ten years off does not put it off for ten years."""
    script = Script(replace(SPEC, policy=replace(POLICY, give_up_after_attempts=1)))
    script.wants("cam")
    for _ in range(2):
        script.breaks("cam", CRASHED)
        script.passes(10.0)
    revived = revive(SPEC, save(script["cam"]), now_s=50.0, moved_s=10 * 365 * 86400.0)
    assert (revived.phase, revived.due_s) == (Phase.FAILED, 50.0 + POLICY.probe_every_s)


def test_a_record_is_saved_whole() -> None:
    """What is not saved is known to be unnecessary: a new field has to be thought of."""
    left_out = {
        *("spec", "phase", "charged", "last", "due_s", "resume_s", "failing_since_s"),
        *("afterwards", "proven_at_s", "probing"),  # "gives_up" tells what they lead to
        "held_by",  # an incident that lasts is found anew, by its members' next attempts
    }
    assert set(save(crashing(1)["cam"])) >= set(Record.__slots__) - left_out
