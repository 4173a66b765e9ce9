"""Incidents: each rule of what components share, as a script of events in and steps out."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from stream_manager.recovery import (
    Backoff,
    Budget,
    DomainDue,
    Fault,
    IncidentPolicy,
    IncidentState,
    Phase,
    RecoveryPolicy,
    Spec,
)
from stream_manager.testing import Script

HOST, SUBNET = "host:10.0.0.5", "subnet:10.0.0.0/24"
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))
REFUSED = Fault(origin="connect", code="ECONNREFUSED")
CRASHED = Fault(origin="process", code="SIGSEGV")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)
GARBAGE = Fault(origin="qtdemux", code="gst-stream-error:4")


def names(number: int, first: int = 0) -> list[str]:
    """Return the ids of so many components."""
    return [f"cam{it}" for it in range(first, first + number)]


def site(number: int, *domains: str, policy: RecoveryPolicy = POLICY) -> Script:
    """Give so many components of the same domains that have been proven for an hour."""
    return healthy(Spec(id=id_, policy=policy, domains=domains or (HOST,)) for id_ in names(number))


def healthy(specs: Iterable[Spec], incidents: IncidentPolicy | None = None) -> Script:
    """Give components that have been proven for an hour."""
    script = Script(*specs, incidents=incidents)
    for id_ in script.manager.records:
        script.wants(id_)
        script.comes_up(id_)
    script.passes(3600.0)
    script.take()
    return script


def breaks(script: Script, ids: Iterable[str], fault: Fault = REFUSED) -> list[str]:
    """Let components fail and be torn down at once; tell the steps of incidents alone."""
    told: list[str] = []
    for id_ in ids:
        told += script.breaks(id_, fault)
    return steps(told)


def steps(told: list[str]) -> list[str]:
    """Return what was told of incidents."""
    return [it for it in told if ": incident-" in it]


def down(number: int) -> Script:
    """Give a site whose components are all parked, its first probe about to start."""
    script = site(number)
    breaks(script, names(number))
    script.passes(1.999)
    script.take()
    assert set(script.phases().values()) == {Phase.PARKED}
    return script


def fails_probe(script: Script) -> str:
    """Let time bring a probe, and let it fail; tell whose it was."""
    script.passes(2.0)
    (start,) = script.take()
    id_ = start.split()[1]
    script.breaks(id_, REFUSED)
    script.take()
    return id_


# --- opening ----------------------------------------------------------------------------------


def test_three_members_of_half_of_those_that_ran_open_an_incident() -> None:
    """Two of four are an accident; with the third all of them are parked, uncharged."""
    script = site(4)
    assert breaks(script, names(2)) == []
    assert [script[id_].attempts for id_ in names(2)] == [1, 1]
    assert script.fails("cam2", REFUSED) == [
        "cam2: network-errno",
        f"{HOST}: incident-opened",
        "cam0: held",
        "cam1: held",
        "cam2: held",
    ]
    assert [script.phase(id_) for id_ in names(3)] == [
        Phase.PARKED,
        Phase.PARKED,
        Phase.TEARING_DOWN,
    ]
    script.gone("cam2")
    assert script.phase("cam2") is Phase.PARKED
    assert [script[id_].attempts for id_ in names(3)] == [0, 0, 0]
    assert [script[id_].failing_since_s for id_ in names(3)] == [None, None, None]
    assert script.phase("cam3") is Phase.RUNNING
    assert script.take() == ["stop cam0 1", "stop cam1 1", "stop cam2 1"]


@pytest.mark.parametrize(("number", "failing", "apart_s"), [(8, 3, 0.0), (2, 2, 0.0), (4, 3, 1.1)])
def test_too_few_or_too_slow_failures_are_no_incident(
    number: int, failing: int, apart_s: float
) -> None:
    """Less than half, less than three, or not within 2 s: each recovers by itself."""
    script = site(number)
    for id_ in names(failing):
        assert steps(script.fails(id_, REFUSED)) == []
        script.now_s += apart_s
    assert script.manager.incidents == {}


def test_causes_are_counted_apart() -> None:
    """Two refused and two out of memory are not four of one kind."""
    script = site(4, "rack:7")
    assert breaks(script, names(2)) == []
    assert breaks(script, names(2, 2), Fault(origin="process", code="SIGKILL:oom")) == []


@pytest.mark.parametrize("fault", [WRONG_PASSWORD, GARBAGE, CRASHED])
def test_what_is_ones_own_parks_nobody(fault: Fault) -> None:
    """Passwords and broken media are no host's doing, nor is a crash."""
    script = site(4)
    assert breaks(script, names(4), fault) == []


def test_a_first_accident_tells_of_nobody_else() -> None:
    """It is tried at once, which is quicker than to ask; when it comes again it counts."""
    script = site(3, "volume:main")
    hangs = Fault(origin="control", code="hang")
    assert breaks(script, names(3), hangs) == []
    for id_ in names(3):
        assert script.phase(id_) is Phase.STARTING
    assert breaks(script, names(3), hangs) == ["volume:main: incident-opened"]
    assert [script[id_].attempts for id_ in names(3)] == [1, 1, 1]
    assert [len(script[id_].charged) for id_ in names(3)] == [0, 0, 0]


def test_however_many_processes_are_killed_the_node_is_not_blamed() -> None:
    """All of them, twice within a minute: each comes back by itself, the first time at once."""
    script = site(10, "node")
    assert breaks(script, names(10), CRASHED) == []
    assert set(script.phases().values()) == {Phase.STARTING}
    assert breaks(script, names(10), CRASHED) == []
    assert set(script.phases().values()) == {Phase.BACKING_OFF}
    assert [script[id_].attempts for id_ in names(10)] == [2] * 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault(origin="forkserver", code="lost"),
        Fault(origin="forkserver", code="EAGAIN"),
        Fault(origin="process", code="SIGKILL:oom"),
    ],
)
def test_a_node_that_lacks_what_processes_need_is_one_incident(fault: Fault) -> None:
    """No fork server, no room for a process, no memory: one at a time tries for all."""
    script = site(3, "node")
    assert breaks(script, names(3), fault) == ["node: incident-opened"]


def test_one_worker_that_the_kernel_ends_again_and_again_is_no_incident() -> None:
    """Its own appetite is charged to itself, while the others run."""
    script = site(10, "node")
    for _ in range(4):
        assert breaks(script, ["cam0"], Fault(origin="process", code="SIGKILL:oom")) == []
        script.passes(1.0)
    assert len(script["cam0"].charged) == 4


def test_charges_of_before_the_window_are_not_given_back() -> None:
    """A crash of an hour ago stays in the window; what the outage added to it does not."""
    policy = replace(POLICY, budget=Budget(restarts=5, within_s=9000.0), stable_for_s=7200.0)
    policy = replace(policy, backoff=Backoff(base_s=2000.0, factor=1, cap_s=2000.0, jitter="none"))
    script = site(3, "node", policy=policy)
    breaks(script, ["cam0"], CRASHED)
    script.comes_up("cam0")
    script.passes(3600.0)
    breaks(script, names(3), Fault(origin="process", code="SIGKILL:oom"))
    assert [script[id_].attempts for id_ in names(3)] == [1, 0, 0]
    assert [len(script[id_].charged) for id_ in names(3)] == [1, 0, 0]


def test_a_failure_while_it_is_open_is_charged_nothing_however_patient_the_policy() -> None:
    """The last one's failure would be its last by its own limits; its domain answers for it."""
    script = site(4, policy=replace(POLICY, give_up_after_attempts=1))
    breaks(script, names(3))
    script.fails("cam3", REFUSED)
    assert script["cam3"].attempts == 0
    script.gone("cam3")
    for _ in range(6):
        script.passes(2.0)
        for start in script.take():
            script.breaks(start.split()[1], REFUSED)
        script.take()
    assert set(script.phases().values()) == {Phase.PARKED}
    assert sum(it.restarts_total for it in script.manager.records.values()) == 10


# --- the veto ---------------------------------------------------------------------------------


def test_a_member_that_stays_healthy_vetoes() -> None:
    """2 s after the first sign cam3 still runs: the others recover by themselves."""
    script = site(4)
    breaks(script, names(3))
    assert steps(script.passes(1.9)) == []
    script.take()
    assert script.passes(0.1)[:3] == [
        f"{HOST}: incident-vetoed",
        f"{HOST}: incident-ramp",
        f"{HOST}: incident-released",
    ]
    assert script.take() == ["start cam0 2", "start cam1 2", "start cam2 2"]
    vetoed, *_, released = script.incident_steps[-3:]
    assert vetoed.saw == {"by": "cam3"}
    assert released.after.outcome == "released"


def test_who_was_vetoed_sees_out_the_wait_of_its_own() -> None:
    """A backoff that is longer than the window is not cut short by a veto."""
    slow = Backoff(base_s=8.0, factor=1.0, cap_s=8.0, jitter="none")
    script = site(4, policy=replace(POLICY, backoff=slow))
    breaks(script, names(3))
    script.passes(2.0)
    assert [script.phase(id_) for id_ in names(3)] == [Phase.BACKING_OFF] * 3
    script.take()
    script.passes(5.9)
    assert script.take() == []
    script.passes(0.1)
    assert script.take() == ["start cam0 2", "start cam1 2", "start cam2 2"]


def test_a_veto_stands_for_as_long_as_the_one_runs() -> None:
    """While cam3 runs its host is not suspected of that again; when it falls too, it is."""
    script = site(4)
    breaks(script, names(3))
    script.passes(2.0)
    assert breaks(script, names(3)) == []
    script.passes(1.0)
    assert breaks(script, ["cam3", *names(3)]) == [f"{HOST}: incident-opened"]


def test_a_member_that_comes_back_by_itself_vetoes_at_once() -> None:
    """An attempt that was under way when the others failed succeeds: the host is well."""
    script = site(4)
    script.breaks("cam3", REFUSED)
    script.passes(1.0)
    breaks(script, names(3))
    assert script.phase("cam3") is Phase.STARTING
    assert steps(script.comes_up("cam3")) == [
        f"{HOST}: incident-vetoed",
        f"{HOST}: incident-ramp",
        f"{HOST}: incident-released",
    ]


def test_a_worker_whose_camera_is_away_still_vetoes() -> None:
    """It is up: that its source brings no media is no sign that the machine is ill."""
    workers = [
        Spec(id=it, policy=POLICY, domains=("node",), proven_by=f"{it}/s") for it in names(4)
    ]
    parts = [Spec(id=f"{it.id}/s", policy=POLICY, parent=it.id, needs=(it.id,)) for it in workers]
    script = Script(*workers, *parts)
    for id_ in script.manager.records:
        script.wants(id_)
    for id_ in names(4):
        script.started(id_)
        script.comes_up(f"{id_}/s")
    script.breaks("cam3/s", REFUSED)
    assert script.phase("cam3") is Phase.VERIFYING
    breaks(script, names(3), Fault(origin="process", code="SIGKILL:oom"))
    assert steps(script.passes(2.0))[0] == "node: incident-vetoed"
    assert script.incident_steps[-1].saw["by"] is None
    assert script.incident_steps[1].saw["by"] == "cam3"


# --- narrower and wider -----------------------------------------------------------------------


def subnet() -> Script:
    """Give two hosts with four and three components, in one subnet."""
    specs = [Spec(id=f"a{it}", policy=POLICY, domains=("host:a", SUBNET)) for it in range(4)]
    specs += [Spec(id=f"b{it}", policy=POLICY, domains=("host:b", SUBNET)) for it in range(3)]
    return healthy(specs)


def test_the_narrowest_domain_that_covers_the_failures_wins() -> None:
    """All of host a are more than half of the subnet, but none of the others has failed."""
    script = subnet()
    assert breaks(script, [f"a{it}" for it in range(4)]) == ["host:a: incident-opened"]


def test_a_wider_domain_takes_over() -> None:
    """With one more on the other host it is the subnet; nothing is given back twice."""
    script = subnet()
    breaks(script, [f"a{it}" for it in range(4)])
    assert breaks(script, ["b0"]) == [
        f"{SUBNET}: incident-opened",
        "host:a: incident-taken-over",
    ]
    assert {script[f"a{it}"].held_by for it in range(4)} == {SUBNET}
    assert list(script.manager.incidents) == [SUBNET]
    assert [script[id_].attempts for id_ in ("a0", "b0", "b1")] == [0, 0, 0]


def test_a_narrower_domain_takes_over_from_a_vetoed_one() -> None:
    """b1 runs, so it is not the subnet; nobody runs on host a, so it is that."""
    script = subnet()
    breaks(script, [*(f"a{it}" for it in range(4)), "b0"])
    script.take()
    assert steps(script.passes(2.0)) == [
        f"{SUBNET}: incident-vetoed",
        "host:a: incident-opened",
        f"{SUBNET}: incident-ramp",
        f"{SUBNET}: incident-released",
    ]
    assert script.manager.incidents["host:a"].state is IncidentState.OPEN
    assert script.take() == ["start b0 2"]


def test_a_vetoed_domain_that_loses_all_to_a_narrower_one_is_over() -> None:
    """Nobody is left to be let go."""
    specs = [Spec(id=f"a{it}", policy=POLICY, domains=("host:a", SUBNET)) for it in range(3)]
    specs += [Spec(id=f"b{it}", policy=POLICY, domains=("host:b", SUBNET)) for it in range(6)]
    script = healthy(specs)
    breaks(script, ["a0", "b0", "b1", "b2", "b3", "a1", "b4", "b5"])
    assert list(script.manager.incidents) == [SUBNET]
    told = steps(script.passes(2.0))
    assert told[:3] == [
        f"{SUBNET}: incident-vetoed",
        "host:b: incident-opened",
        f"{SUBNET}: incident-ramp",
    ]


def test_a_narrower_domain_of_too_few_takes_nobody_over() -> None:
    """b0 is alone on its host: when it is not the subnet, it recovers by itself."""
    hosts = {"a0": "host:a", "a1": "host:a", "a2": "host:a", "b0": "host:b", "c0": "host:c"}
    script = healthy(
        Spec(id=id_, policy=POLICY, domains=(host, SUBNET)) for id_, host in hosts.items()
    )
    assert breaks(script, ["a0", "b0", "a1", "a2"]) == [f"{SUBNET}: incident-opened"]
    script.take()
    script.passes(2.0)
    assert script.take() == ["start b0 2"]
    assert {script[f"a{it}"].held_by for it in range(3)} == {"host:a"}


def test_a_vetoed_domain_whose_queue_goes_to_a_narrower_one_is_over_at_once() -> None:
    """b0 was stopped meanwhile, so all that is left is host a's."""
    hosts = {"a0": "host:a", "a1": "host:a", "a2": "host:a", "b0": "host:b", "c0": "host:c"}
    script = healthy(
        Spec(id=id_, policy=POLICY, domains=(host, SUBNET)) for id_, host in hosts.items()
    )
    breaks(script, ["a0", "b0", "a1", "a2"])
    script.wants("b0", up=False)
    assert steps(script.passes(2.0)) == [
        f"{SUBNET}: incident-vetoed",
        "host:a: incident-opened",
        f"{SUBNET}: incident-taken-over",
    ]


def test_one_that_came_to_wait_for_another_reason_is_no_evidence() -> None:
    """a3 is wanted during the suspicion and waits; it counts for no narrower domain."""
    specs = [Spec(id=f"a{it}", policy=POLICY, domains=("host:a", SUBNET)) for it in range(4)]
    specs += [Spec(id=f"b{it}", policy=POLICY, domains=("host:b", SUBNET)) for it in range(2)]
    script = Script(*specs)
    for id_ in ("a0", "a1", "b0", "b1"):
        script.wants(id_)
        script.comes_up(id_)
    breaks(script, ["a0", "b0", "a1"])
    script.wants("a3")
    assert (script.phase("a3"), script["a3"].held_by) == (Phase.PARKED, SUBNET)
    script.take()
    script.passes(2.0)
    assert list(script.manager.incidents) == []
    assert "start a3 1" in script.take()


# --- probing ----------------------------------------------------------------------------------


def test_probes_go_out_one_by_one_and_take_turns() -> None:
    """One every 2 s, each time the one that waited longest, none charged anything."""
    script = down(3)
    assert [fails_probe(script) for _ in range(5)] == ["cam0", "cam1", "cam2", "cam0", "cam1"]
    assert [record.attempts for record in script.manager.records.values()] == [0, 0, 0]
    assert script.manager.incidents[HOST].probes == 5


def test_no_probe_starts_while_one_is_under_way() -> None:
    """A probe that takes its time keeps its place alone, and the next one follows at once."""
    script = down(3)
    script.passes(2.0)
    script.passes(10.0)
    assert script.take() == ["start cam0 2"]
    assert steps(script.fails("cam0", REFUSED)) == [f"{HOST}: incident-probe-over"]
    script.passes(0.0)
    assert script.take() == ["stop cam0 2", "start cam1 2"]


def test_probes_are_spread_and_become_rarer() -> None:
    """2 s more or less a tenth; after 10 minutes 10 s."""
    policy = IncidentPolicy()
    assert [policy.interval_s(0.0, chance) for chance in (0.0, 0.5)] == [1.8, 2.0]
    assert policy.interval_s(599.0, 1.0) == pytest.approx(2.2)
    assert policy.interval_s(600.0, 0.5) == 10.0


def test_a_probe_that_fails_by_another_cause_is_charged_nothing_either() -> None:
    """What it met on its domain's behalf is not its own."""
    script = down(3)
    script.passes(2.0)
    script.breaks("cam0", GARBAGE)
    assert (script.phase("cam0"), script["cam0"].attempts) == (Phase.PARKED, 0)


def test_a_probe_with_a_fatal_fault_is_failed_and_the_next_one_tries() -> None:
    """A wrong password is nobody else's; it ends the probe and not the incident."""
    script = down(3)
    script.wants("cam0", digest="new password")
    script.passes(2.0)
    assert script.breaks("cam0", WRONG_PASSWORD)[:2] == [
        "cam0: auth-never-worked",
        f"{HOST}: incident-probe-over",
    ]
    assert script.phase("cam0") is Phase.FAILED
    script.take()
    script.passes(2.0)
    assert script.take() == ["start cam1 2"]


def test_a_probe_without_a_proof_has_a_lease() -> None:
    """A worker has no deadline of its own; when its source brings nothing, the next one tries."""
    specs = [
        Spec(id=id_, policy=POLICY, domains=("node",), proven_by=f"{id_}/source")
        for id_ in names(3)
    ]
    parts = [
        Spec(id=f"{it.id}/source", policy=POLICY, parent=it.id, needs=(it.id,)) for it in specs
    ]
    script = Script(*specs, *parts)
    for id_ in script.manager.records:
        script.wants(id_)
    for id_ in names(3):
        script.started(id_)
        script.comes_up(f"{id_}/source")
    breaks(script, names(3), Fault(origin="process", code="SIGKILL:oom"))
    script.passes(2.0)
    script.take()
    script.started("cam0")
    assert script.phase("cam0") is Phase.VERIFYING
    assert steps(script.passes(17.0)) == ["node: incident-probe-over", "node: incident-probe"]
    assert script.phase("cam0") is Phase.VERIFYING
    assert "start cam1 2" in script.take()


def test_who_can_not_start_is_no_probe() -> None:
    """A source whose process is down is passed over; when all are, the probe is postponed."""
    specs = [Spec(id=f"w{it}", policy=POLICY) for it in range(3)]
    sources = [
        Spec(id=f"s{it}", policy=POLICY, parent=f"w{it}", needs=(f"w{it}",), domains=(HOST,))
        for it in range(3)
    ]
    script = healthy([*specs, *sources])
    breaks(script, ["s0", "s1", "s2"])
    script.fails("w0", CRASHED)
    script.take()
    script.passes(2.0)
    assert script.take() == ["start s1 2"]
    script.breaks("s1", REFUSED)
    script.fails("w1", CRASHED)
    script.fails("w2", CRASHED)
    script.take()
    assert steps(script.passes(2.0)) == [f"{HOST}: incident-probe-postponed"]
    assert not any(it.startswith("start s") for it in script.take())
    script.gone("w2")
    script.comes_up("w2")
    script.passes(2.0)
    assert "start s2 2" in script.take()


def test_an_incident_ends_when_all_in_its_queue_wait_for_what_has_failed() -> None:
    """Nobody could ever probe: they wait for their group alone, whose own probe waits no longer."""
    group = Spec(id="group", policy=POLICY, domains=(HOST,))
    inner = Spec(id="inner", policy=POLICY, parent="group", needs=("group",))
    parts = [
        Spec(id=id_, policy=POLICY, parent="inner", needs=("inner",), domains=(HOST,))
        for id_ in names(3)
    ]
    script = healthy([group, inner, *parts])
    breaks(script, names(3))
    script.fails("group", Fault(origin="process", code="exit:2"))
    for id_ in ("inner", "group"):
        script.gone(id_)
    assert script.phase("group") is Phase.FAILED
    assert "host:10.0.0.5: incident-deserted" in script.passes(4.0)
    assert script.manager.incidents == {}
    assert [(script.phase(id_), script[id_].held_by) for id_ in names(3)] == [
        (Phase.PARKED, None)
    ] * 3
    assert "group: slow-probe" in script.passes(300.0)
    for id_ in ("group", "inner", *names(3)):
        script.comes_up(id_)
    assert set(script.phases().values()) == {Phase.RUNNING}


def test_who_fails_by_another_cause_waits_for_the_domain_too() -> None:
    """It is charged as ever, but when its own wait is over it does not start."""
    script = site(4)
    script.breaks("cam3", GARBAGE)
    breaks(script, names(3))
    script.passes(1.0)
    assert script.phase("cam3") is Phase.STARTING
    script.breaks("cam3", GARBAGE)
    script.take()
    script.passes(1.5)
    assert (script.phase("cam3"), script["cam3"].held_by) == (Phase.PARKED, HOST)
    assert script["cam3"].attempts == 2


def test_another_cause_that_could_be_shared_opens_nothing_while_it_is_open() -> None:
    """A domain has one incident at a time."""
    script = site(4)
    script.breaks("cam3", REFUSED)
    script.passes(1.0)
    breaks(script, names(3))
    script.breaks("cam3", Fault(origin="health", code="stall"))
    assert script["cam3"].attempts == 1
    assert [it.rule for it in script.incident_steps] == ["incident-opened"]


def test_a_slow_probe_waits_for_the_domain_and_is_not_excused_by_it() -> None:
    """FAILED is no member that waits: it is not tried while the domain is down."""
    script = site(4)
    script.fails("cam3", Fault(origin="process", code="exit:2"))
    script.gone("cam3")
    script.passes(299.0)
    breaks(script, names(3))
    assert "cam3: probe-postponed" in script.passes(2.0)
    assert script.phase("cam3") is Phase.FAILED


def test_a_slow_probe_under_way_that_fails_is_failed_again() -> None:
    """What led to FAILED is not forgiven by an outage that comes later."""
    script = site(4)
    script.fails("cam3", Fault(origin="process", code="exit:2"))
    script.gone("cam3")
    script.passes(300.0)
    assert script["cam3"].probing
    breaks(script, names(3))
    script.breaks("cam3", REFUSED)
    assert script.phase("cam3") is Phase.FAILED


# --- coming back ------------------------------------------------------------------------------


def test_all_follow_the_first_proof_along_the_ramp() -> None:
    """20, then twice as many each 100 ms, and never more than 200."""
    script = down(1000)
    script.passes(0.001)
    script.passes(0.1)
    (probe,) = script.take()
    assert probe == "start cam0 2"
    told = script.comes_up("cam0")
    assert steps(told) == [f"{HOST}: incident-proved", f"{HOST}: incident-ramp"]
    batches = [len(script.take())]
    while script.manager.incidents[HOST].waiting:
        script.passes(0.1)
        batches.append(len(script.take()))
    assert batches == [20, 40, 80, 160, 200, 200, 200, 99]


def test_an_incident_that_is_over_tells_all_of_itself() -> None:
    """Its begin, its root with the numbers, its timeline, its end; ids are bounded."""
    script = down(30)
    fails_probe(script)
    script.passes(2.0)
    script.comes_up("cam1")
    script.passes(0.1)
    assert HOST in script.manager.incidents
    for id_ in ("cam0", *names(28, 2)):
        script.comes_up(id_)
    over = script.incident_steps[-1].after
    assert (over.state, over.outcome, over.number) == (IncidentState.ENDED, "resolved", 1)
    assert (over.root_of, over.root.fault, over.failed, over.running) == ("cam0", REFUSED, 15, 15)
    assert (over.since_s, over.opened_s) == (3600.0, 3600.0)
    assert over.ended_s == pytest.approx(3606.099)
    assert (over.members, over.some, over.probes) == (30, tuple(names(20)), 2)
    assert [moment.what for moment in over.timeline] == [
        *("opened", "confirmed", "probe", "probe-over", "probe"),
        *("proved", "ramp", "ramp", "resolved"),
    ]
    assert over.timeline[3].detail == "cam0: ECONNREFUSED"


def test_a_timeline_keeps_its_begin_and_its_newest_moments() -> None:
    """An outage of an hour is not an hour's list."""
    script = down(3)
    for _ in range(50):
        fails_probe(script)
    timeline = script.manager.incidents[HOST].timeline
    assert len(timeline) == 40
    assert timeline[0].what == "opened"
    assert timeline[-1].detail.endswith("ECONNREFUSED")


def test_an_attempt_that_was_under_way_proves_as_a_probe_does() -> None:
    """Whoever is proven while it is open shows that the domain is well."""
    script = site(4)
    script.breaks("cam3", REFUSED)
    script.passes(1.0)
    breaks(script, names(3))
    script.passes(2.5)
    assert script.manager.incidents[HOST].state is IncidentState.OPEN
    assert steps(script.comes_up("cam3"))[0] == f"{HOST}: incident-proved"


def test_the_ramp_waits_for_teardowns() -> None:
    """Who is still being torn down is let go when it is gone, in its turn."""
    script = site(3)
    breaks(script, names(2))
    script.fails("cam2", REFUSED)
    script.passes(2.0)
    script.take()
    script.comes_up("cam0")
    assert script.take() == ["start cam1 2"]
    script.passes(0.5)
    assert HOST in script.manager.incidents
    script.gone("cam2")
    assert script.take() == []
    script.passes(0.1)
    assert script.take() == ["start cam2 2"]
    assert script.manager.incidents[HOST].waiting == 0
    script.comes_up("cam1")
    assert steps(script.comes_up("cam2")) == [f"{HOST}: incident-resolved"]


def test_a_domain_that_fails_again_on_the_ramp_is_open_again() -> None:
    """When half of those let go fail again it is the same incident, and their charges are back."""
    script = down(100)
    script.passes(0.1)
    script.comes_up("cam0")
    assert len(script.take()) == 21
    failing = names(11)
    assert breaks(script, failing[:10]) == []
    assert script["cam1"].attempts == 1
    assert breaks(script, failing[10:]) == [f"{HOST}: incident-reopened"]
    assert [script[id_].attempts for id_ in failing] == [0] * 11
    assert {script.phase(id_) for id_ in failing} == {Phase.PARKED}
    incident = script.manager.incidents[HOST]
    assert (incident.number, incident.state, incident.probes) == (1, IncidentState.OPEN, 1)
    script.take()
    script.passes(1.9)
    assert script.take() == []
    script.passes(0.1)
    assert len(script.take()) == 1


def returning(number: int) -> Script:
    """Give a site whose first probe is proven: all others are let go and coming up."""
    script = down(number)
    script.passes(0.1)
    script.comes_up("cam0")
    script.take()
    assert {script.phase(id_) for id_ in names(number - 1, 1)} == {Phase.STARTING}
    return script


def test_an_incident_is_over_when_the_last_that_was_let_go_is_back() -> None:
    """Not with the last step of the ramp: a proof, an end of one's own or a stop settles each."""
    script = returning(5)
    assert steps(script.comes_up("cam1")) == []
    assert steps(script.breaks("cam2", GARBAGE)) == []
    assert steps(script.wants("cam3", up=False)) == []
    assert script.manager.incidents[HOST].state is IncidentState.RAMPING
    assert steps(script.comes_up("cam4")) == [f"{HOST}: incident-resolved"]


@pytest.mark.parametrize("number", [3, 10])
def test_a_small_site_that_relapses_has_the_same_incident(number: int) -> None:
    """All were let go at once, but they are the first outage's still, which keeps its age."""
    script = returning(number)
    opened = script.manager.incidents[HOST]
    told = breaks(script, names(number))
    assert told == [f"{HOST}: incident-reopened"]
    again = script.manager.incidents[HOST]
    assert (again.number, again.opened_s, again.root) == (1, opened.opened_s, opened.root)
    assert [record.attempts for record in script.manager.records.values()] == [0] * number


def test_a_relapse_by_another_cause_that_the_domain_can_have_counts() -> None:
    """A host that boots refuses, then knows no stream: the incident spares who fails by either."""
    booting = Fault(origin="rtspsrc", code="gst-resource-error:3", status=404)
    script = returning(6)
    assert breaks(script, names(6), booting) == [f"{HOST}: incident-reopened"]
    assert script.manager.incidents[HOST].cause.value == "not-found"
    assert script.manager.incidents[HOST].root.rule.cause.value == "network"
    assert [script[id_].attempts for id_ in names(6)] == [0] * 6


def test_members_that_never_prove_themselves_are_waited_for_so_long() -> None:
    """Workers whose cameras are away have no deadline: their incident ends without them."""
    workers = [
        Spec(id=it, policy=POLICY, domains=("node",), proven_by=f"{it}/s") for it in names(3)
    ]
    script = Script(
        *workers,
        *(
            Spec(id=f"{it.id}/s", policy=POLICY, parent=it.id, needs=(it.id,), inside=True)
            for it in workers
        ),
    )
    for id_ in script.manager.records:
        script.wants(id_)
    for id_ in names(3):
        script.started(id_)
        script.comes_up(f"{id_}/s")
    breaks(script, names(3), Fault(origin="process", code="SIGKILL:oom"))
    script.passes(2.0)
    script.started("cam0")
    script.comes_up("cam0/s")
    script.started("cam1")
    script.started("cam2")
    assert script.manager.incidents["node"].state is IncidentState.RAMPING
    assert steps(script.passes(16.9)) == []
    assert steps(script.passes(0.1)) == ["node: incident-resolved"]


def test_one_that_is_let_go_while_its_need_is_down_waits_for_that_alone() -> None:
    """A source is admitted, but its process comes first, as ever."""
    specs = [Spec(id=f"w{it}", policy=POLICY) for it in range(3)]
    sources = [
        Spec(id=f"s{it}", policy=POLICY, parent=f"w{it}", needs=(f"w{it}",), domains=(HOST,))
        for it in range(3)
    ]
    script = healthy([*specs, *sources])
    breaks(script, ["s0", "s1", "s2"])
    script.passes(2.0)
    script.fails("w1", CRASHED)
    script.comes_up("s0")
    assert steps(script.comes_up("s2")) == [f"{HOST}: incident-resolved"]
    assert (script.phase("s1"), script["s1"].held_by) == (Phase.PARKED, None)
    script.gone("w1")
    script.comes_up("w1")
    assert script.phase("s1") is Phase.STARTING


# --- people -----------------------------------------------------------------------------------


def test_a_stopped_member_leaves_its_incident() -> None:
    """When nobody is left there is nothing to wait for."""
    script = down(3)
    for id_ in ("cam0", "cam1"):
        assert steps(script.wants(id_, up=False)) == []
    assert steps(script.wants("cam2", up=False)) == [f"{HOST}: incident-deserted"]
    assert script.manager.incidents == {}
    assert set(script.phases().values()) == {Phase.STOPPED}
    assert script.passes(60.0) == []


def test_a_stopped_probe_ends_the_last_hope_of_nobody_else() -> None:
    """Its incident goes on with the others."""
    script = down(3)
    script.passes(2.0)
    assert steps(script.wants("cam0", up=False)) == [f"{HOST}: incident-probe-over"]
    script.gone("cam0")
    script.take()
    script.passes(2.0)
    assert script.take() == ["start cam1 2"]


@pytest.mark.parametrize("command", [Script.restarts, Script.resets])
def test_a_commanded_member_is_the_next_probe_at_once(
    command: Callable[[Script, str], list[str]],
) -> None:
    """An operator need not wait; while another one tries it comes right after it."""
    script = down(4)
    told = command(script, "cam2")
    assert steps(told) == [f"{HOST}: incident-probe"]
    assert script.take() == ["start cam2 2"]
    assert steps(command(script, "cam3")) == [f"{HOST}: incident-asked"]
    assert script.take() == []
    script.breaks("cam2", REFUSED)
    script.passes(0.001)
    assert script.take() == ["stop cam2 2", "start cam3 2"]


def test_a_command_may_probe_what_is_only_suspected() -> None:
    """A proof then is a veto, and a failure leaves the verdict to the window."""
    script = site(3)
    breaks(script, names(3))
    script.restarts("cam1")
    assert script.manager.incidents[HOST].probe == "cam1"
    assert steps(script.breaks("cam1", REFUSED)) == [f"{HOST}: incident-probe-over"]
    script.restarts("cam2")
    assert steps(script.passes(2.0)) == [f"{HOST}: incident-confirmed"]
    assert script.manager.incidents[HOST].probe == "cam2"


def test_a_command_for_one_that_can_not_start_waits_for_the_window() -> None:
    """Its process is down: the probe is postponed, and the window decides as before."""
    worker = Spec(id="w", policy=POLICY)
    part = Spec(id="s", policy=POLICY, parent="w", needs=("w",), inside=True, domains=(HOST,))
    others = [Spec(id=id_, policy=POLICY, domains=(HOST,)) for id_ in names(2)]
    script = healthy([worker, part, *others])
    breaks(script, ["s", *names(2)])
    for id_ in names(2):
        script.wants(id_, up=False)
    script.fails("w", CRASHED)
    script.handle(DomainDue(id=HOST))
    assert steps(script.resets("s")) == [f"{HOST}: incident-probe-postponed"]
    assert steps(script.passes(2.0))[0] == f"{HOST}: incident-confirmed"


def test_a_stopped_member_is_forgotten_with_its_domain() -> None:
    """Nothing is left of a domain that nobody names any more."""
    script = site(3)
    breaks(script, names(2))
    for id_ in names(3):
        script.wants(id_, up=False)
        script.gone(id_)
        script.manager.remove(id_)
    assert dict(script.manager.records) == {}


def test_a_domains_timer_that_is_not_over_does_nothing() -> None:
    """Neither one that fires early, nor one of a domain without an incident."""
    script = site(3)
    assert script.handle(DomainDue(id=HOST)) == []
    breaks(script, names(3))
    assert script.handle(DomainDue(id=HOST)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("members", 1), ("probe_spread", 1.0), ("slow_probe_every_s", 1.0), ("ramp_most", 19)],
    ],
)
def test_an_impossible_policy_is_refused(field: str, value: float) -> None:
    """The message names the field and its value."""
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        IncidentPolicy(**{field: value})  # type: ignore[arg-type]


# --- a dry run --------------------------------------------------------------------------------

DRY = IncidentPolicy(enforce=False)


def dry(number: int) -> Script:
    """Give so many components that have been proven for an hour, on a host whose incidents are dry.

    They wait a minute for their next attempt, so that it is them who are waited for.
    """
    slow = RecoveryPolicy(
        backoff=Backoff(base_s=60.0, factor=1.0, cap_s=60.0, jitter="none"),
        budget=Budget(restarts=1),
    )
    specs = [Spec(id=id_, policy=slow, domains=(HOST,)) for id_ in names(number)]
    return healthy(specs, DRY)


def test_in_a_dry_run_an_incident_is_told_and_nobody_is_parked() -> None:
    """All back off as if they had no domain, and are charged as ever."""
    script = dry(4)
    assert breaks(script, names(4)) == [f"{HOST}: incident-opened"]
    assert set(script.phases().values()) == {Phase.BACKING_OFF}
    assert [script[it].attempts for it in names(4)] == [1, 1, 1, 1]
    assert {it.held_by for it in script.manager.records.values()} == {None}
    assert script.manager.incidents[HOST].members == 4
    script.take()
    told = script.passes(60.0)
    assert script.take() == [f"start {it} 2" for it in names(4)]
    assert steps(told)[:2] == [f"{HOST}: incident-confirmed", f"{HOST}: incident-probe"]


def test_in_a_dry_run_the_incident_ends_as_it_would_have() -> None:
    """The first that is proven lets the ramp begin, which lets nobody go, for nobody waits."""
    script = dry(4)
    breaks(script, names(4))
    script.passes(60.0)
    told = script.comes_up("cam2")
    assert [it for it in told if "cam" in it] == ["cam2: started", "cam2: proved"]
    assert steps(told) == [f"{HOST}: incident-proved", f"{HOST}: incident-ramp"]
    told = [it for id_ in ("cam0", "cam1", "cam3") for it in script.comes_up(id_)]
    assert steps(told) == [f"{HOST}: incident-resolved"]
    assert all(it.tells == () for it in script.incident_steps)


def test_in_a_dry_run_a_probe_is_only_named() -> None:
    """Who would try goes on by its own backoff; when its time is over the next one is named."""
    script = dry(3)
    breaks(script, names(3))
    script.passes(4.0)
    assert script.manager.incidents[HOST].probe == "cam0"
    assert script.phase("cam0") is Phase.BACKING_OFF
    assert f"{HOST}: incident-probe-over" in script.passes(20.0)
    assert script.manager.incidents[HOST].probe == "cam1"


def test_in_a_dry_run_a_probe_that_is_stopped_and_removed_is_no_probe() -> None:
    """Neither it nor the last that would have waited keeps the incident."""
    script = dry(3)
    breaks(script, names(3))
    script.passes(4.0)
    assert steps(script.wants("cam0", up=False)) == [f"{HOST}: incident-probe-over"]
    script.manager.remove("cam0")
    script.passes(2.0)
    assert script.manager.incidents[HOST].probe == "cam1"
    script.wants("cam2", up=False)
    assert steps(script.wants("cam1", up=False)) == [
        f"{HOST}: incident-probe-over",
        f"{HOST}: incident-deserted",
    ]
    assert dict(script.manager.incidents) == {}


def test_in_a_dry_run_what_fails_meanwhile_would_wait_too() -> None:
    """By the same cause, as long as the incident is not over."""
    script = dry(6)
    breaks(script, names(3))
    assert script.manager.incidents[HOST].members == 3
    breaks(script, ["cam3"])
    breaks(script, ["cam4"], GARBAGE)
    assert script.manager.incidents[HOST].members == 4


def test_in_a_dry_run_the_ramp_goes_on_when_one_fails_again() -> None:
    """Too few to open it again: the others would be let go, and cam40 is not waited for long."""
    script = dry(45)
    breaks(script, names(45))
    script.passes(60.0)
    script.comes_up("cam2")
    assert breaks(script, ["cam40"]) == []
    assert script.manager.incidents[HOST].state is IncidentState.RAMPING
    script.passes(1.0)
    assert script.manager.incidents[HOST].waiting == 0
    for id_ in names(45):
        if script.phase(id_) is Phase.STARTING:
            script.comes_up(id_)
    assert (script.phase("cam40"), HOST in script.manager.incidents) == (Phase.BACKING_OFF, True)
    script.passes(17.0)
    assert dict(script.manager.incidents) == {}
