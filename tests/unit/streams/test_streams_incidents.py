"""What is told of incidents: one journal entry a step, and a log line where it is news."""

import pytest
from structlog.testing import capture_logs

from stream_manager.clock import wall_of
from stream_manager.recovery import Backoff, Fault, RecoveryPolicy, Spec, Step
from stream_manager.store import Entry
from stream_manager.streams.entries import entry
from stream_manager.streams.report import report_incident
from stream_manager.streams.views import next_attempt_in_s
from stream_manager.testing import FakeClock, Script

HOST = "host:10.0.0.5"
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"))
REFUSED = Fault(origin="connect", code="ECONNREFUSED")


@pytest.fixture
def script() -> Script:
    """Give a host that failed, was probed in vain and then well, and is resolved."""
    ids = ["door/source", "yard/source", "gate/source"]
    script = Script(*(Spec(id=id_, policy=POLICY, domains=(HOST,)) for id_ in ids))
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
    for id_ in ids:
        script.breaks(id_, REFUSED)
    script.passes(2.0)
    script.breaks("door/source", REFUSED)
    script.passes(2.0)
    for id_ in ("yard/source", "gate/source", "door/source"):
        script.comes_up(id_)
    return script


def entries(script: Script, clock: FakeClock) -> list[Entry]:
    """Return what the journal gets."""
    return [entry(it, clock=clock, local=lambda at_s: f"{at_s:g}") for it in script.incident_steps]


def test_each_step_of_an_incident_is_an_entry(script: Script) -> None:
    """The domain stands where a stream's name would, with its cause and its next probe."""
    clock = FakeClock()
    told = entries(script, clock)
    opened, confirmed = told[:2]
    assert (opened.stream, opened.component, opened.epoch) == (HOST, HOST, 1)
    assert (opened.event, opened.rule) == ("failed", "incident-opened")
    assert (opened.cause, opened.fault_class, opened.code) == (
        *("network", "recoverable"),
        "ECONNREFUSED",
    )
    assert (opened.before, opened.after, opened.actions) == ("ended", "suspected", ())
    assert opened.next_attempt_at == wall_of(2.0, clock)
    assert opened.saw["failed"] == 3
    assert (confirmed.event, confirmed.before, confirmed.after) == (
        *("domaindue", "suspected"),
        "open",
    )
    assert (told[-1].after, told[-1].attempt, told[-1].next_attempt_at) == ("ended", 2, None)


def test_who_waits_in_an_incident_has_no_next_attempt_of_its_own() -> None:
    """Also while it is still being torn down: its domain plans that."""
    ids = ["door/source", "yard/source", "gate/source"]
    script = Script(*(Spec(id=id_, policy=POLICY, domains=(HOST,)) for id_ in ids))
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
        script.fails(id_, REFUSED)
    clock = FakeClock()
    alone, *_, held = [
        entry(it, clock=clock, local=str) for it in script.decisions if it.after.last
    ]
    assert (alone.after, alone.next_attempt_at) == ("tearing_down", wall_of(1.0, clock))
    assert (held.rule, held.after, held.next_attempt_at) == ("held", "tearing_down", None)
    assert next_attempt_in_s(script["door/source"], 0.0) is None


def test_what_an_incident_did_to_its_members_names_it_as_the_reason(script: Script) -> None:
    """Each parked member's entry leads back to the step that parked it."""
    opened = script.incident_steps[0]
    held = [it for it in script.decisions if it.rule == "held"]
    assert [it.because for it in held] == [opened.seq] * 3
    fault = next(it for it in script.decisions if it.seq == opened.because)
    assert fault.rule == "network-errno"
    told: list[Step] = [*script.decisions, *script.incident_steps]
    assert sorted(it.seq for it in told) == list(range(1, len(told) + 1))


def test_the_log_tells_the_begin_the_verdict_and_the_end(script: Script) -> None:
    """Probes and the ramp stand in the journal alone."""
    with capture_logs() as lines:
        for step in script.incident_steps:
            report_incident(step, wall=lambda at_s: f"{at_s:g}")
    assert [(line["log_level"], line["domain"], line["cause"]) for line in lines] == [
        ("warning", HOST, "network"),
        ("warning", HOST, "network"),
        ("info", HOST, "network"),
        ("info", HOST, "network"),
    ]
