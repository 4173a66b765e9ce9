"""What a number has to be, for every policy and every guard: told with its name and its value.

    require_counts(1, attempts=self.attempts)
    require_durations(wait_s=wait_s, **given(deadline_s=deadline_s))

A bool is no number here, and neither are NaN, infinities and numbers in quotes: each of them gets
past a plain comparison somewhere, and then decides something.
"""

from collections.abc import Callable
from enum import Enum
from typing import NoReturn, TypeVar

E = TypeVar("E", bound=Enum)

# Thirty years: more is a mistake, and past three hundred the system's own timers give up.
LONGEST_S = 1e9
# Nothing is counted that far in thirty years either, and databases go on to nearly 10**19.
MOST = 10**15


def given(**values: object) -> dict[str, object]:
    """Return those that are not None, for fields that may be left out."""
    return {name: value for name, value in values.items() if value is not None}


def require_counts(least: int, /, **values: object) -> None:
    """Raise ValueError for what is no whole number from `least` on."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
            refuse(name, value, f"a whole number from {least} to {MOST:g}")


def require_durations(**values: object) -> None:
    """Raise ValueError for what is no number of seconds above 0."""
    allowed = f"a duration above 0, to {LONGEST_S:g} s"
    require_numbers(allowed, lambda value: 0 < value <= LONGEST_S, **values)


def require_spans(**values: object) -> None:
    """Raise ValueError for what can't be left of a duration, or be over of it: 0 is possible."""
    allowed = f"a duration of at least 0, to {LONGEST_S:g} s"
    require_numbers(allowed, lambda value: 0 <= value <= LONGEST_S, **values)


def require_instants(**values: object) -> None:
    """Raise ValueError for what is no instant, on whichever clock, that people can read."""
    require_numbers("an instant", lambda value: abs(value) <= 10 * LONGEST_S, **values)


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
            refuse(name, value, f"a {kind.__name__}")


def require_functions(**values: object) -> None:
    """Raise ValueError for what can't be called."""
    for name, value in values.items():
        if not callable(value):
            refuse(name, value, "a function")


def member(kind: type[E], name: str, value: object) -> E:
    """Return the member of an Enum with that value. Raises ValueError where there is none."""
    try:
        return kind(value)
    except ValueError:
        refuse(name, value, f"one of {[it.value for it in kind]}")


def refuse(name: str, value: object, allowed: str) -> NoReturn:
    """Raise the ValueError of a field."""
    raise ValueError(f"{name} is {value!r}: expected {allowed}")
