"""What docs/semantics.md shows of the code: pictures of the state tables, and numbers.

Stale? python -m tests.unit.recovery.semantics_page
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from tests.scenarios.incident_laws import MOVES
from tests.unit.recovery.test_recovery_table import diagram as phases

from stream_manager.recovery import (
    Backoff,
    BreakerPolicy,
    Budget,
    IncidentPolicy,
    Ramp,
    RecoveryPolicy,
)
from stream_manager.recovery.breaker_states import diagram as breaker

PAGE = Path(__file__).parents[3] / "docs/semantics.md"
POLICIES = (RecoveryPolicy(), Backoff(), Budget(), IncidentPolicy(), BreakerPolicy(), Ramp())


def incidents() -> str:
    """Draw to which states the steps of incidents may lead: the law of the random worlds."""
    lines = [
        f"    {before.value if before else '[*]'} --> {after.value}: {', '.join(sorted(rules))}"
        for (before, after), rules in MOVES.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def waits() -> str:
    """Tabulate the shortest and longest wait of each retry, by the defaults."""
    backoff = Backoff()
    retries = range(8)
    rows = [
        ["retry", *(str(n + 1) for n in retries)],
        ["---"] * (len(retries) + 1),
        ["at least", *(f"{backoff.shortest_s(n):g} s" for n in retries)],
        ["at most", *(f"{backoff.ceiling_s(n):g} s" for n in retries)],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def numbers() -> str:
    """Tabulate the defaults of all policies."""
    rows = ["| policy | field | default |", "| --- | --- | --- |"]
    for policy in POLICIES:
        for field in fields(policy):
            value = getattr(policy, field.name)
            if isinstance(value, bool | int | float | str):
                rows.append(f"| `{type(policy).__name__}` | `{field.name}` | {value} |")
    return "\n".join(rows)


def blocks() -> Iterator[tuple[str, str]]:
    """Yield each generated part of the page, by the name of its marker."""
    yield "phases", phases()
    yield "breaker", f"```mermaid\n{breaker()}\n```"
    yield "incidents", incidents()
    yield "waits", waits()
    yield "numbers", numbers()


def page() -> str:
    """Return the page with all of its generated parts as they are now."""
    text = PAGE.read_text()
    for name, block in blocks():
        marked = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, found = re.subn(marked, rf"\g<1>{block}\n\g<2>", text, flags=re.DOTALL)
        assert found == 1, f"{name} has no place on {PAGE}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
