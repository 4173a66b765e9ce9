"""A user's own rules: before the built-in ones, told by their names, and checked."""

from collections.abc import Sequence
from typing import Any

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Cause,
    Fault,
    FaultClass,
    Phase,
    RecoveryManager,
    RecoveryPolicy,
    Rule,
    Spec,
    When,
    advice,
    in_words,
)
from stream_manager.testing import Script

API_DOWN = Rule(
    name="api-down",
    cause=Cause.NETWORK,
    fault_class=FaultClass.RECOVERABLE,
    codes={"httpx.ConnectError"},
    charged=False,
)
DOWN = Fault(origin="python", code="httpx.ConnectError", text="no route")


def after(fault: Fault, *rules: Rule) -> Script:
    """Let a component that was proven meet a fault, under these rules."""
    script = Script(Spec(id="it", policy=RecoveryPolicy()), rules=rules)
    script.wants("it")
    script.comes_up("it")
    script.breaks("it", fault)
    return script


def test_what_no_rule_knew_is_judged_by_the_users_own() -> None:
    """Its cause and its charge are those of the rule, and not those of an unknown fault."""
    unknown, known = after(DOWN)["it"], after(DOWN, API_DOWN)["it"]
    assert unknown.last is not None
    assert known.last is not None
    assert (unknown.last.rule.name, len(unknown.charged)) == ("unmatched", 1)
    assert (known.last.rule, known.charged) == (API_DOWN, ())


def test_the_first_rule_that_matches_counts_and_own_ones_come_first() -> None:
    """So a built-in one can be overruled, and an own one too."""
    refused = Fault(origin="python", code="ECONNREFUSED")
    fatal = Rule(
        name="never", cause=Cause.CONFIG, fault_class=FaultClass.FATAL, codes={"ECONNREFUSED"}
    )
    anything = Rule(name="any", cause=Cause.DEVICE, fault_class=FaultClass.RECOVERABLE)
    assert after(refused, fatal, anything).phase("it") is Phase.FAILED
    script = after(refused, anything, fatal)
    assert script["it"].last is not None
    assert script["it"].last.rule is anything
    assert after(refused, API_DOWN).phase("it") is Phase.BACKING_OFF


def test_an_own_rule_is_told_by_its_name() -> None:
    """Nobody else has words for it."""
    assert in_words(DOWN, API_DOWN) == "api down (httpx.ConnectError)"
    assert advice(DOWN, API_DOWN) == "see what your rule api-down was written for"


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (API_DOWN, "rules is Rule"),
        (["api-down"], "rules holds 'api-down': expected a Rule"),
        (
            [Rule(name="stall", cause=Cause.STALL, fault_class=FaultClass.FATAL)],
            "named 'stall', as a built-in one",
        ),
    ],
)
def test_what_is_no_list_of_new_rules_is_refused(rules: Sequence[Rule], told: str) -> None:
    """The value is named, and what was expected."""
    with pytest.raises(UsageError, match=told):
        RecoveryManager(chance=lambda: 0.5, rules=rules)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "", "name is ''"),
        ("cause", "network", "cause is 'network': expected a Cause"),
        ("fault_class", "fatal", "fault_class is 'fatal': expected a FaultClass"),
        ("when", None, "when is None: expected a When"),
        ("codes", "ETIMEDOUT", "codes is 'ETIMEDOUT': expected a set"),
        ("statuses", [404], "statuses is .404.: expected a set"),
    ],
)
def test_a_rule_of_wrong_types_is_refused(field: str, value: object, told: str) -> None:
    """A string in the place of a set would match no code, and say nothing."""
    right: dict[str, Any] = {
        "name": "it",
        "cause": Cause.NETWORK,
        "fault_class": FaultClass.FATAL,
        "when": When.CALM,
    }
    with pytest.raises(ValueError, match=told):
        Rule(**{**right, field: value})
