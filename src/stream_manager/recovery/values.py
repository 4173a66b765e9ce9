"""What a number has to be, asked of whatever was given in its place."""

from math import isfinite


def is_positive(value: object) -> bool:
    """Tell whether `value` is a finite number above 0, as every duration is."""
    return isinstance(value, int | float) and isfinite(value) and value > 0


def is_count(value: object) -> bool:
    """Tell whether `value` is a whole number from 1 on."""
    return isinstance(value, int) and value >= 1
