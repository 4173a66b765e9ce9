"""What a number has to be, for every policy and every guard: told with its name and its value.

    require_counts(1, attempts=self.attempts)
    require_durations(wait_s=wait_s, **given(deadline_s=deadline_s))

A bool is no number here, and neither are NaN, infinities and numbers in quotes: each of them gets
past a plain comparison somewhere, and then decides something.
"""

from collections.abc import Callable
from typing import NoReturn

# Thirty years: more is a mistake, and past three hundred the system's own timers give up.
LONGEST_S = 1e9


def given(**values: object) -> dict[str, object]:
    """Return those that are not None, for fields that may be left out."""
    return {name: value for name, value in values.items() if value is not None}


def require_counts(least: int, /, **values: object) -> None:
    """Raise ValueError for what is no whole number of at least `least`."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            refuse(name, value, f"a whole number of at least {least}")


def require_durations(**values: object) -> None:
    """Raise ValueError for what is no number of seconds above 0."""
    allowed = f"a duration above 0, to {LONGEST_S:g} s"
    require_numbers(allowed, lambda value: 0 < value <= LONGEST_S, **values)


def require_shares(**values: object) -> None:
    """Raise ValueError for what is no part of a whole, or an empty one."""
    require_numbers("a share above 0, to 1", lambda value: 0 < value <= 1, **values)


def require_numbers(allowed: str, within: Callable[[float], bool], /, **values: object) -> None:
    """Raise ValueError for what is no number `within` a range, which `allowed` says in words."""
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not within(value):
            refuse(name, value, allowed)


def require_kind(kind: type, /, **values: object) -> None:
    """Raise ValueError for what is of another type."""
    for name, value in values.items():
        if not isinstance(value, kind):
            refuse(name, value, f"of the type {kind.__name__}")


def refuse(name: str, value: object, allowed: str) -> NoReturn:
    """Raise the ValueError of a field."""
    raise ValueError(f"{name} is {value!r}: expected {allowed}")
