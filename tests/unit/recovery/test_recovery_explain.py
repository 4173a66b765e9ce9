"""Sentences: what people read about decisions and about where a component stands."""

from dataclasses import replace
from typing import Any

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
    span,
)
from stream_manager.recovery import advice as advice_on
from stream_manager.recovery.advice import RULES as ADVICE
from stream_manager.recovery.backoff import Jitter
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
        Spec(id="door/source", policy=policy, parent="door", needs=("door",), inside=True),
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


def test_every_rule_has_its_advice_and_a_code_may_have_a_better_one() -> None:
    """Nobody is left with a fault and without a thing to do."""
    assert set(ADVICE) == set(FAULTS)
    (errno,) = {rule for rule in RULES if rule.name == "network-errno" and rule.origins}
    assert advice_on(REFUSED, errno).startswith("look whether the port is right")
    assert advice_on(replace(REFUSED, code="EPIPE"), errno).startswith("look whether the camera")


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.4, "0 s"), (119.0, "119 s"), (150.0, "2 min"), (7500.0, "2 h 5 min"), (97200.0, "1 d 3 h")],
)
def test_a_span_has_two_units_at_most(duration_s: float, text: str) -> None:
    """Nobody counts with 7,500 seconds."""
    assert span(duration_s) == text


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
            "Its last fault, at 08:00:00, 0 s ago: the camera refused user or password, "
            "which never worked (RTSP 401)."
        ),
        "Rule auth-never-worked judges it fatal, its cause auth.",
        "It was given up because a retry can't cure that fault (auth-never-worked).",
    ]


def test_what_waits_is_explained_with_its_numbers() -> None:
    """Phase, next attempt, fault with its own words, rule, and where the wait's length is from."""
    script = door()
    script.breaks("door/source", REFUSED)
    assert explained(script, "door/source") == [
        "door/source is backing off: attempt 1 at 09:00:01, in 1 s.",
        "Its last fault, at 09:00:00, 0 s ago: the camera refused the connection (ECONNREFUSED).",
        "It said: connect to 10.0.0.7:554 failed",
        (
            "Rule network-errno judges it recoverable, its cause network: it is tried again after "
            "a wait, and charged to no budget of restarts."
        ),
        (
            "The wait is 1.0 s, without chance in it; it begins at 1 s and grows 2-fold with each "
            "retry, to 30 s at most."
        ),
    ]
    assert explained(script, "door") == ["door is verifying: waiting for media of door/source."]


@pytest.mark.parametrize(
    ("jitter", "drawn"),
    [
        ("equal", "drawn from 0.5 to 1 s, so that not all come back together"),
        ("full", "drawn from 0 to 1 s, so that not all come back together"),
        ("decorrelated", "drawn from 1 s to three times the one before"),
    ],
)
def test_a_wait_says_between_which_bounds_it_was_drawn(jitter: Jitter, drawn: str) -> None:
    """Each kind of jitter has its own bounds."""
    script = door(replace(POLICY, backoff=Backoff(base_s=1.0, jitter=jitter)))
    script.breaks("door/source", REFUSED)
    assert any(f" s, {drawn}; it begins at 1 s" in it for it in explained(script, "door/source"))


def test_a_crash_that_is_tried_at_once_names_its_budget() -> None:
    """What one more restart than the budget allows would lead to is told for child and parent."""
    script = door()
    script.breaks("door", exit_fault(-11))
    assert (
        "Rule crash-once judges it transient, its cause crash: the first one in a long time is "
        "tried again at once, and charged to its budget: 1 of 5 restarts within 60 s; with one "
        "more than those it is given up."
    ) in explained(script, "door")
    script.started("door")
    script.breaks("door/source", GARBAGE)
    (rule,) = [it for it in explained(script, "door/source") if it.startswith("Rule")]
    assert rule.endswith("with one more than those door is restarted.")


@pytest.mark.parametrize(
    ("patience", "sentence"),
    [
        (
            {"give_up_after_attempts": 9},
            "give_up_after allows 9 retries, and this is number 2.",
        ),
        (
            {"give_up_after_s": 7200.0},
            "give_up_after allows 2 h 0 min of failing, and it fails since 09:00:00, for 1 s.",
        ),
    ],
)
def test_patience_is_told_with_what_is_left_of_it(
    patience: dict[str, float], sentence: str
) -> None:
    """Retries are counted, and a duration is measured."""
    script = door(replace(POLICY, **patience))  # type: ignore[arg-type]  # one of two fields
    loops(script, "door/source", REFUSED, 1)
    script.breaks("door/source", REFUSED)
    assert sentence in explained(script, "door/source")


@pytest.mark.parametrize(
    ("limits", "fault", "words"),
    [
        (
            {"budget": Budget(restarts=1)},
            GARBAGE,
            "2 restarts within 60 s, where 1 are allowed",
        ),
        (
            {"give_up_after_attempts": 1},
            REFUSED,
            "give_up_after allows 1 retries, and 1 were used",
        ),
        (
            {"give_up_after_s": 1.0},
            REFUSED,
            "give_up_after allows 1 s, and it fails for 1 s",
        ),
    ],
)
def test_a_limit_is_told_with_its_numbers_and_a_dry_run_as_one(
    limits: dict[str, Any], fault: Fault, words: str
) -> None:
    """The journal has what was enforced, or what would have been and what is done instead."""
    for enforce in (True, False):
        script = Script(Spec(id="cam", policy=replace(POLICY, **limits, enforce=enforce)))
        script.wants("cam")
        script.comes_up("cam")
        script.passes(3600.0)
        loops(script, "cam", fault, 1)
        script.decisions.clear()
        script.fails("cam", fault)
        (sentence,) = told(script)
        if enforce:
            assert sentence.endswith(f"; {words} — torn down, and no retry follows")
        else:
            assert f"; a dry run, or no retry would follow: {words} — attempt 2 in " in sentence


def test_deadlines_are_told_with_their_numbers() -> None:
    """What a start and a teardown were allowed stands in the decision and in the sentence."""
    script = Script(Spec(id="cam", policy=POLICY))
    script.wants("cam")
    script.passes(15.0)
    script.passes(4.0)
    late, abandoned = script.decisions[1:3]
    assert (late.saw["start_deadline_s"], abandoned.saw["teardown_s"]) == (15.0, 4.0)
    assert told(script)[1:3] == [
        (
            "cam: the start brought no steady media in time (start-deadline); 15 s are allowed — "
            "attempt 1 in 1.0 s, at 08:00:16"
        ),
        (
            "cam: its teardown hangs and is abandoned after 4 s — attempt 1 under way, media due "
            "by 08:00:34"
        ),
    ]


def test_a_decision_holds_what_its_rule_looked_at() -> None:
    """How long ago the last fault was and by which cause, which rules ask for, and the proof."""
    script = door()
    script.breaks("door/source", REFUSED)
    script.passes(1.0)
    script.comes_up("door/source")
    script.fails("door/source", GARBAGE)
    by_rule = {it.rule: it.saw for it in script.decisions if it.id == "door/source"}
    assert (by_rule["network-errno"]["last_cause"], by_rule["media"]["last_cause"]) == (
        None,
        "network",
    )
    assert by_rule["media"]["since_last_s"] == 1.0
    assert by_rule["proved"]["verify_for_s"] == POLICY.verify_for_s


def test_poison_is_told_with_its_number() -> None:
    """How often it came, and how often is too often."""
    script = ended(POLICY, GARBAGE, proven=False)
    assert any(
        "the same fault 5 times before it ever worked, and 5 are no accident" in it
        for it in told(script)
    )


@pytest.mark.parametrize(
    ("limits", "fault", "sentence"),
    [
        (
            {"budget": Budget(restarts=1)},
            GARBAGE,
            (
                "1 of 1 restarts within 60 s; with one more than those that is told, and nothing "
                "else, for its policy is a dry run."
            ),
        ),
        (
            {"give_up_after_attempts": 9},
            REFUSED,
            (
                "give_up_after allows 9 retries, and this is number 1. Past that nothing ends, for "
                "its policy is a dry run."
            ),
        ),
        (
            {"give_up_after_s": 60.0},
            REFUSED,
            (
                "and it fails since 08:00:00, for 0 s. Past that nothing ends, for its policy is a "
                "dry run."
            ),
        ),
    ],
)
def test_what_waits_by_a_policy_that_is_a_dry_run_says_so(
    limits: dict[str, Any], fault: Fault, sentence: str
) -> None:
    """Nobody who reads of a limit has to wonder why it is passed."""
    script = Script(Spec(id="cam", policy=replace(POLICY, **limits, enforce=False)))
    script.wants("cam")
    script.breaks("cam", fault)
    assert any(it.endswith(sentence) for it in explained(script, "cam"))


def test_what_runs_again_says_what_it_took_and_when_it_is_forgiven() -> None:
    """Its wait is history; a fault that is forgiven is only remembered."""
    script = door()
    script.breaks("door/source", REFUSED)
    script.passes(1.0)
    script.comes_up("door/source")
    assert explained(script, "door/source") == [
        "door/source is running: healthy; attempt 1 is forgiven at 09:01:01, in 60 s.",
        "Its last fault, at 09:00:00, 1 s ago: the camera refused the connection (ECONNREFUSED).",
        "It said: connect to 10.0.0.7:554 failed",
        (
            "Rule network-errno judges it recoverable, its cause network: it is tried again after "
            "a wait, and charged to no budget of restarts."
        ),
        "It took 1 retry to come back; 60 s without a fault forgive all.",
    ]
    script.passes(60.0)
    assert explained(script, "door/source")[0] == "door/source is running: healthy."
    assert len(explained(script, "door/source")) == 3


def test_what_is_stopped_or_waits_for_others_tells_of_no_fault() -> None:
    """An old fault is no reason for such a state."""
    script = door()
    script.breaks("door/source", REFUSED)
    script.breaks("door", exit_fault(-11))
    (parked,) = explained(script, "door/source")
    assert parked == "door/source is parked: waiting for door, charged nothing."


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
            "door: a part could not be healed alone (gst-stream-error:7); it was door/source — "
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
        (
            POLICY,
            GARBAGE,
            False,
            "the same fault came 5 times before it ever worked, so it is not a matter of time",
        ),
        (
            replace(POLICY, give_up_after_attempts=2),
            REFUSED,
            True,
            "give_up_after allows 2 retries, and all were used",
        ),
        (
            replace(POLICY, give_up_after_s=3.0),
            REFUSED,
            True,
            "give_up_after allows 3 s, and it failed since 08:00:00",
        ),
        (
            replace(POLICY, budget=Budget(restarts=2)),
            GARBAGE,
            True,
            (
                "its budget allows 2 restarts within 60 s, and it fell at "
                "08:00:00, 08:00:00, 08:00:02"
            ),
        ),
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
