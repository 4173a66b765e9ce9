"""A user's own rules of classification, checked and put before the built-in ones."""

from collections.abc import Sequence

from stream_manager.errors import UsageError
from stream_manager.recovery.classify import RULES, Rule
from stream_manager.recovery.explain import ENDS, FAULTS, STEPS, WOULD

# What a decision can be called already: its words belong to that.
_TAKEN = frozenset({*FAULTS, *STEPS, *ENDS, *WOULD})


def with_own(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return `rules`, and after them the built-in ones.

    Raises UsageError for anything that is no rule, and for a name that means something else.
    """
    if not isinstance(rules, Sequence):
        raise UsageError(f"rules is {rules!r}: expected a list of rules")
    for rule in rules:
        if not isinstance(rule, Rule):
            raise UsageError(f"rules holds {rule!r}: expected a Rule")
        if rule.name in _TAKEN:
            raise UsageError(f"a rule is named {rule.name!r}, as a built-in one: name it otherwise")
    return (*rules, *RULES)
