"""Sentences: what people read about an incident, and about those that wait for its domain."""

from collections.abc import Iterator

from stream_manager.recovery import (
    Backoff,
    Budget,
    Fault,
    IncidentPolicy,
    IncidentStep,
    RecoveryPolicy,
    Spec,
    describe,
    explain,
)
from stream_manager.recovery.incident_words import STEPS
from stream_manager.testing import Script

HOST = "host:10.0.0.5"
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))
REFUSED = Fault(origin="connect", code="ECONNREFUSED")


def clock(instant_s: float) -> str:
    """Render an instant as a time of a morning."""
    minutes, seconds = divmod(int(instant_s), 60)
    return f"{8 + minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def site(number: int) -> Script:
    """Give so many components of one host that have been proven for an hour."""
    ids = [f"cam{it}" for it in range(number)]
    script = Script(*(Spec(id=id_, policy=POLICY, domains=(HOST, "subnet:s")) for id_ in ids))
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
    script.passes(3600.0)
    return script


def breaks(script: Script, numbers: range) -> None:
    """Let components fail and be torn down at once."""
    for number in numbers:
        script.breaks(f"cam{number}", REFUSED)


def explained(script: Script, id_: str) -> list[str]:
    """Return what is said of a component with its incident."""
    incident = script.manager.incident_of(id_)
    return explain(script[id_], now_s=script.now_s, wall=clock, incident=incident)


def told(script: Script) -> list[str]:
    """Return the sentences of an incident's steps."""
    return [describe(step, wall=clock) for step in script.incident_steps]


def test_a_parked_member_says_which_domain_since_when_and_what_is_next() -> None:
    """From the suspicion to the ramp: the numbers, who tries, and the time of the next attempt."""
    script = site(40)
    breaks(script, range(40))
    first, begun, evidence, then = explained(script, "cam7")
    assert first == f"cam7 is parked: waiting for {HOST}, charged nothing."
    assert begun == (
        f"{HOST} has an incident since 09:00:00, for 0 s: 40 of its members are parked, their "
        "cause network."
    )
    assert evidence == (
        "It was opened at 09:00:00 by 20 that failed within 2 s, while 20 ran; 3 are enough, if "
        "they are 50 % of those that had run. The first was cam0: the camera refused the "
        "connection (ECONNREFUSED)."
    )
    assert then == f"At 09:00:02, in 2 s, whoever still runs tells that it is not {HOST}."
    script.passes(2.0)
    assert explained(script, "cam7")[-1] == (
        "cam0 is trying for all of them, as probe 1; if it fails, the next one tries at "
        "09:00:04, in 2 s."
    )
    script.breaks("cam0", REFUSED)
    assert explained(script, "cam7")[-1] == (
        "One at a time tries for all of them, 1 tried so far; the next one at 09:00:04, in 2 s."
    )
    script.passes(2.0)
    script.comes_up("cam1")
    assert explained(script, "cam39")[-1] == (
        "20 were let go already, a few at a time; the next at 09:00:04, in 0 s."
    )


def test_before_the_first_probe_nobody_has_tried() -> None:
    """A domain that took over from another one has not been probed yet."""
    script = Script(
        *(Spec(id=f"a{it}", policy=POLICY, domains=(HOST, "subnet:s")) for it in range(3)),
        *(Spec(id=f"b{it}", policy=POLICY, domains=("host:b", "subnet:s")) for it in range(2)),
    )
    for id_ in script.manager.records:
        script.wants(id_)
        script.comes_up(id_)
    for id_ in ("a0", "b0", "a1", "a2"):
        script.breaks(id_, REFUSED)
    script.passes(2.0)
    assert explained(script, "a1")[-1] == (
        "One at a time tries for all of them, none tried so far; the next one at 08:00:04, in 2 s."
    )


def test_one_that_is_being_torn_down_says_that_it_waits_then() -> None:
    """No attempt of its own is named."""
    script = site(3)
    breaks(script, range(2))
    script.fails("cam2", REFUSED)
    assert describe(script.decisions[-1], wall=clock) == (
        f"cam2: {HOST} is down, and so this is no failure of its own — torn down, then waiting for "
        f"{HOST}, charged nothing"
    )


def test_an_incident_is_told_step_by_step() -> None:
    """Each step is a sentence of what happened, and of what comes next at which time."""
    script = site(4)
    breaks(script, range(4))
    script.passes(2.0)
    script.breaks("cam0", REFUSED)
    script.passes(2.0)
    script.comes_up("cam1")
    for number in (0, 2, 3):
        script.comes_up(f"cam{number}")
    assert told(script) == [
        (
            f"{HOST}: 3 members failed within 2 s, their cause network (ECONNREFUSED); 1 ran — "
            "3 are parked until 09:00:02, when whoever still runs tells"
        ),
        (
            f"{HOST}: none of its members stayed healthy, so it is the cause — the next one tries "
            "at 09:00:02"
        ),
        f"{HOST}: probe 1 is cam0 — cam0 is trying, until 09:00:19 at the latest",
        (f"{HOST}: probe cam0 did not succeed (ECONNREFUSED) — the next one tries at 09:00:04"),
        f"{HOST}: probe 2 is cam1 — cam1 is trying, until 09:00:21 at the latest",
        f"{HOST}: cam1 is proven, and 3 follow — the next are let go at 09:00:04",
        (
            f"{HOST}: 3 were let go, 3 so far — those that were let go have until 09:00:21 to "
            "prove themselves"
        ),
        f"{HOST}: its 4 members came back, or had the time to — incident 1 is over, after 4 s",
    ]


def every_step() -> Iterator[IncidentStep]:
    """Yield a step of each rule, from three incidents."""
    script = site(60)
    breaks(script, range(60))
    script.passes(2.0)
    script.restarts("cam9")
    script.breaks("cam0", REFUSED)
    script.passes(1.0)
    script.comes_up("cam9")
    breaks(script, range(1, 15))
    for number in range(60):
        script.wants(f"cam{number}", up=False)
        script.gone(f"cam{number}")
    yield from script.incident_steps
    script = site(4)
    breaks(script, range(3))
    script.passes(2.0)
    yield from script.incident_steps
    script = Script(
        *(Spec(id=f"a{it}", policy=POLICY, domains=(HOST, "subnet:s")) for it in range(3)),
        *(Spec(id=f"w{it}", policy=POLICY) for it in range(3)),
        *(
            Spec(
                id=f"s{it}",
                policy=POLICY,
                parent=f"w{it}",
                needs=(f"w{it}",),
                domains=("subnet:s",),
            )
            for it in range(3)
        ),
    )
    for id_ in script.manager.records:
        script.wants(id_)
        script.comes_up(id_)
    for id_ in ("a0", "a1", "a2", "s0", "s1", "s2"):
        script.breaks(id_, REFUSED)
    for id_ in ("a0", "a1", "a2"):
        script.wants(id_, up=False)
    for id_ in ("w0", "w1", "w2"):
        script.fails(id_, REFUSED)
    script.passes(2.0)
    yield from script.incident_steps


def test_every_rule_of_an_incident_has_its_words_and_no_more() -> None:
    """No step falls to a generic text, and no words stand there that nothing says."""
    seen = list(every_step())
    assert all(describe(step, wall=clock).startswith(step.id) for step in seen)
    assert {step.rule for step in seen} | {"incident-resolved"} == set(STEPS)


def test_in_a_dry_run_explain_tells_what_would_be_done() -> None:
    """Who would wait goes its own way, and says so beside what is spared it."""
    slow = RecoveryPolicy(
        backoff=Backoff(base_s=60.0, cap_s=60.0, jitter="none"),
        budget=Budget(restarts=5, within_s=900.0),
        stable_for_s=900.0,
    )
    ids = [f"cam{it}" for it in range(40)]
    script = Script(
        *(Spec(id=id_, policy=slow, domains=(HOST, "subnet:s")) for id_ in ids),
        incidents=IncidentPolicy(enforce=False),
    )
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
    script.passes(3600.0)
    breaks(script, range(39))
    script.fails("cam39", REFUSED)
    first, begun, _, then, *_ = explained(script, "cam7")
    assert first.startswith("cam7 is backing off: attempt 1 at 09:01:00")
    assert begun == (
        f"{HOST} has an incident since 09:00:00, for 0 s: 40 of its members would be parked, their "
        "cause network. This is a dry run, which parks nobody: each recovers by itself."
    )
    assert then == f"At 09:00:02, in 2 s, whoever still runs tells that it is not {HOST}."
    script.passes(2.0)
    assert explained(script, "cam7")[3] == (
        "cam0 would be trying for all of them, as probe 1; if it fails, the next one would try at "
        "09:00:04, in 2 s."
    )
    script.wants("cam0", up=False)
    assert explained(script, "cam7")[3] == (
        "One at a time would try for all of them, 1 tried so far; the next one at 09:00:04, in 2 s."
    )
    script.restarts("cam9")
    script.comes_up("cam9")
    assert explained(script, "cam38")[3] == (
        "20 would have been let go already, a few at a time; the next at 09:00:02, in 0 s."
    )


def test_each_step_of_a_dry_run_says_that_it_is_one() -> None:
    """Nobody who reads of a parked member looks for it in vain."""
    specs = [Spec(id=f"cam{it}", policy=POLICY, domains=(HOST,)) for it in range(3)]
    script = Script(*specs, incidents=IncidentPolicy(enforce=False))
    for spec in specs:
        script.wants(spec.id)
        script.comes_up(spec.id)
    script.passes(3600.0)
    breaks(script, range(3))
    assert told(script) == [
        (
            f"{HOST}: a dry run tells what would be, and parks nobody: 3 members failed within "
            "2 s, their cause network (ECONNREFUSED); 0 ran — 3 are parked until 09:00:02, when "
            "whoever still runs tells"
        )
    ]
