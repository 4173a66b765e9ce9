"""Sentences: what people read about decisions and about where a component stands."""

from dataclasses import replace

import pytest

from stream_manager.recovery import (
    RULES,
    Backoff,
    Budget,
    Fault,
    RecoveryPolicy,
    Spec,
    describe,
    exit_fault,
    explain,
)
from stream_manager.recovery.explain import FAULTS
from stream_manager.testing import Script

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"))
REFUSED = Fault(origin="connect", code="ECONNREFUSED", text="connect to 10.0.0.7:554 failed")
GARBAGE = Fault(origin="h264parse", code="gst-stream-error:7")
WRONG_PASSWORD = Fault(origin="rtspsrc", code="gst-resource-error:15", status=401)


def clock(instant_s: float) -> str:
    """Render an instant as a time of a morning."""
    minutes, seconds = divmod(int(instant_s), 60)
    return f"{8 + minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def door(policy: RecoveryPolicy = POLICY) -> Script:
    """Give a worker and its source, proven for an hour."""
    script = Script(
        Spec(id="door", policy=policy, proven_by="door/source"),
        Spec(id="door/source", policy=policy, parent="door", needs=("door",)),
    )
    for id_ in ("door", "door/source"):
        script.wants(id_)
    script.started("door")
    script.comes_up("door/source")
    script.passes(3600.0)
    script.decisions.clear()
    return script


def told(script: Script) -> list[str]:
    """Describe every decision since the last time."""
    sentences = [describe(decision, wall=clock) for decision in script.decisions]
    script.decisions.clear()
    return sentences


def explained(script: Script, id_: str) -> list[str]:
    """Explain a component now."""
    return explain(script[id_], now_s=script.now_s, wall=clock)


def loops(script: Script, id_: str, fault: Fault, times: int) -> None:
    """Let a component fail so often, each time as soon as it starts."""
    for _ in range(times):
        script.breaks(id_, fault)
        script.passes(script[id_].delay_s)


def test_every_rule_of_classification_has_its_words() -> None:
    """A rule without words, or words without a rule, would be told in no sentence."""
    assert set(FAULTS) == {rule.name for rule in RULES} | {"unmatched", "escalated"}


def test_a_crash_is_told_from_fault_to_proof() -> None:
    """The journal of one crash reads as a story."""
    script = door()
    script.breaks("door", exit_fault(-11))
    script.started("door")
    script.comes_up("door/source")
    assert told(script) == [
        "door: crash (SIGSEGV) — restart at once, attempt 1",
        "door/source: door went down — waiting for door, charged nothing",
        "door: torn down — attempt 1 under way, media due by 09:00:15",
        "door: built — waiting for media of door/source",
        "door/source: what it needs is up — start under way, media due by 09:00:15",
        "door/source: built — waiting for steady media, due by 09:00:15",
        "door/source: media advances: proven — healthy",
        "door: media advances: proven — healthy; attempt 1 is forgiven at 09:01:00",
    ]
    script.passes(60.0)
    assert told(script) == ["door: stable for 60 s: retries forgiven — healthy"]


def test_a_wait_is_told_with_its_time() -> None:
    """A refused connection says which attempt comes, in how long and when."""
    script = door()
    loops(script, "door/source", REFUSED, 2)
    script.decisions.clear()
    script.fails("door/source", REFUSED)
    script.gone("door/source")
    assert told(script) == [
        (
            "door/source: the camera refused the connection (ECONNREFUSED) — "
            "attempt 3 in 4.0 s, at 09:00:07"
        ),
        "door/source: torn down — attempt 3 at 09:00:07",
    ]


def test_a_wrong_password_is_explained_with_what_re_arms_it() -> None:
    """FAILED says why, and that only a person can go on."""
    script = Script(Spec(id="cam", policy=POLICY))
    script.wants("cam")
    script.breaks("cam", WRONG_PASSWORD)
    assert told(script)[1:] == [
        (
            "cam: the camera refused user or password, which never worked (RTSP 401) — "
            "torn down, and no retry follows"
        ),
        (
            "cam: torn down — failed; not tried again; "
            "a reset, a restart or a changed configuration re-arms it"
        ),
    ]
    assert explained(script, "cam") == [
        "cam is failed: not tried again; a reset, a restart or a changed configuration re-arms it.",
        (
            "Last fault at 08:00:00, 0 s ago: the camera refused user or password, "
            "which never worked (RTSP 401); judged fatal by rule auth-never-worked."
        ),
        (
            "Retries since it was last stable: 0; charged to its budget: 0 of 5 in 60 s; "
            "in its life: 0."
        ),
        "It was given up because a retry can't cure that fault (auth-never-worked).",
    ]


def test_what_waits_is_explained_with_its_numbers() -> None:
    """Phase, next attempt, last fault with its own words, attempts and window in four sentences."""
    script = door()
    script.breaks("door/source", REFUSED)
    assert explained(script, "door/source") == [
        "door/source is backing off: attempt 1 at 09:00:01.",
        (
            "Last fault at 09:00:00, 0 s ago: the camera refused the connection (ECONNREFUSED); "
            "judged recoverable by rule network-errno."
        ),
        "It said: connect to 10.0.0.7:554 failed",
        (
            "Retries since it was last stable: 1; charged to its budget: 0 of 5 in 60 s; "
            "in its life: 1."
        ),
    ]
    assert explained(script, "door") == ["door is verifying: waiting for media of door/source."]


def test_an_escalation_names_who_has_to_heal_it() -> None:
    """The child tells its numbers and its parent; the parent tells its own next step."""
    script = door(replace(POLICY, budget=Budget(restarts=1)))
    loops(script, "door/source", GARBAGE, 1)
    script.decisions.clear()
    script.fails("door/source", GARBAGE)
    assert told(script)[:2] == [
        (
            "door/source: broken media (gst-stream-error:7); 2 restarts within 60 s, where 1 are "
            "allowed — door has to heal it"
        ),
        (
            "door: a part could not be healed alone (gst-stream-error:7) — "
            "attempt 1 in 1.0 s, at 09:00:01"
        ),
    ]


def ended(policy: RecoveryPolicy, fault: Fault, *, proven: bool) -> Script:
    """Give a component that fails like this until it is given up."""
    script = Script(Spec(id="cam", policy=policy))
    script.wants("cam")
    if proven:
        script.comes_up("cam")
    while script["cam"].ended_by is None:
        loops(script, "cam", fault, 1)
    return script


@pytest.mark.parametrize(
    ("policy", "fault", "proven", "sentence"),
    [
        (POLICY, GARBAGE, False, "the same fault came 5 times before it ever worked"),
        (
            replace(POLICY, give_up_after_attempts=2),
            REFUSED,
            True,
            "the configured give_up_after was reached",
        ),
        (replace(POLICY, budget=Budget(restarts=2)), GARBAGE, True, "its restart budget was spent"),
    ],
)
def test_failed_says_what_ended_it(
    policy: RecoveryPolicy, fault: Fault, *, proven: bool, sentence: str
) -> None:
    """Poison, exhausted patience and a spent budget are told apart, and the probe's time given."""
    script = ended(policy, fault, proven=proven)
    lines = explained(script, "cam")
    assert lines[-1] == f"It was given up because {sentence}."
    assert lines[0].startswith("cam is failed: slow probe at 08:05:")
    script.passes(300.0)
    assert told(script)[-1].startswith("cam: slow probe — slow probe under way, media due by")


def test_a_commanded_restart_is_told_as_one() -> None:
    """No attempt is named where none is counted."""
    script = door()
    script.restarts("door")
    assert told(script)[0] == "door: restart commanded — torn down, then started again"
