"""Durations as people write them: a number and its unit."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|min|h|d)", re.ASCII)

EXPECTED = 'a duration with a unit, like "30s"'


def duration_s(text: str) -> float:
    """Return the seconds that "500ms", "1.5s", "5min", "2h" or "7d" mean.

    Raises ValueError for anything else.
    """
    if not (found := _DURATION.fullmatch(text)):
        raise ValueError(f"{text!r} is not {EXPECTED}")
    return float(found[1]) * _UNITS_S[found[2]]
