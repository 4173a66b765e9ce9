"""What docs/recovery.md says of the rules is what they are."""

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from stream_manager.health import BORNE_FOR_S
from stream_manager.recovery import FaultClass, RecoveryPolicy
from stream_manager.recovery.classify import CALM_AFTER_S, RULES, UNMATCHED, Rule, When
from stream_manager.recovery.explain import FAULTS
from stream_manager.recovery.verdict import POISON_FAULTS

PAGE = Path(__file__).parents[3] / "docs/recovery.md"
DONE = {
    FaultClass.TRANSIENT: "again at once",
    FaultClass.RECOVERABLE: "again after a wait",
    FaultClass.CASCADE: "again after a wait",
    FaultClass.FATAL: "given up",
}
ONLY = {
    When.ALWAYS: "",
    When.CALM: "after a calm time",
    When.NEVER_PROVEN: "before it ever worked",
    When.FIRST_OF_CAUSE: "the first time",
}


def seen_as(rule: Rule) -> str:
    """Return what a rule looks at: who saw it, which codes, and when."""
    keys = [f"RTSP {status}" for status in sorted(rule.statuses)]
    for prefix, codes in groupby(sorted(rule.codes, key=order), lambda code: order(code)[0]):
        numbers = [order(code)[1] for code in codes]
        keys.append(f"{prefix}:{spans(numbers)}" if numbers[0] is not None else prefix)
    origins = ", ".join(sorted(rule.origins))
    seen = " of ".join(filter(None, (", ".join(keys) or "anything", origins)))
    return f"{seen}; {ONLY[rule.when]}" if ONLY[rule.when] else seen


def order(code: str) -> tuple[str, int | None]:
    """Split "gst-core-error:7" into its name and its number."""
    found = re.fullmatch(r"(gst-[a-z-]+):(\d+)", code)
    return (found[1], int(found[2])) if found else (code, None)


def spans(numbers: Iterable[int | None]) -> str:
    """Write 1, 2, 3 and 7 as "1-3, 7"."""
    known = [it for it in numbers if it is not None]
    parts = []
    for _, run in groupby(enumerate(known), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        parts.append(
            f"{members[0]}-{members[-1]}" if len(members) > 2 else ", ".join(map(str, members))
        )
    return ", ".join(parts)


def table() -> str:
    """Draw the rules in the order in which they are asked."""
    rows = [
        "| rule | what happened | cause | what is done | seen as |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in (*RULES, UNMATCHED):
        done = DONE[rule.fault_class]
        if rule.fault_class is FaultClass.FATAL:
            done += ", probed slowly" if rule.probed else ", not tried again"
        elif rule.fault_class is not FaultClass.TRANSIENT:
            done += ", charged" if rule.charged else ", not charged"
        happened = FAULTS[rule.name].format(proof="media")
        cells = (f"`{rule.name}`", happened, rule.cause.value, done, seen_as(rule))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_page_shows_the_rules_as_they_are() -> None:
    """When it fails, paste the table that this test draws."""
    assert table() in PAGE.read_text(), table()


def test_the_pages_numbers_are_the_programs() -> None:
    """Limits and defaults that the text names are those that decide."""
    policy, page = RecoveryPolicy(), " ".join(PAGE.read_text().split())
    backoff = policy.backoff
    for words in (
        f"{backoff.base_s * 1000:g} ms, doubles with each attempt up to {backoff.cap_s:g} s",
        f"more than {policy.budget.restarts} charged restarts within {policy.budget.within_s:g} s",
        f"healthy for {policy.stable_for_s:g} s without a break",
        f"advanced for {policy.verify_for_s:g} s on every track",
        f"within {policy.start_deadline_s:g} s",
        f"every {policy.probe_every_s / 60:g} minutes",
        f"the same fault {POISON_FAULTS} times",
        f"for {CALM_AFTER_S:g} s",
        f"missing for {BORNE_FOR_S:g} s",
    ):
        assert words in page, words
