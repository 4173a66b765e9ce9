"""Sizes as people write them: a number and its unit."""

import re

_UNITS_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(KiB|MiB|GiB|TiB)", re.ASCII)

EXPECTED = 'a size with a unit, like "200MiB"'


def size_bytes(text: str) -> int:
    """Return the bytes that "512KiB", "200MiB", "1.5GiB" or "2TiB" mean.

    Raises ValueError for anything else.
    """
    if not (found := _SIZE.fullmatch(text)):
        raise ValueError(f"{text!r} is not {EXPECTED}")
    return round(float(found[1]) * _UNITS_BYTES[found[2]])
