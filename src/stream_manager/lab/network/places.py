"""Where something listens, as people write it: HOST:PORT."""

import re

from stream_manager.errors import UsageError

Place = tuple[str, int]

LOOPBACK = "127.0.0.1"
PORT_MAX = 65535
_PLACE = re.compile(r"(?:(?P<host>[^:\[\]]+|\[[0-9a-fA-F:.%a-z]+\]):)?(?P<port>\d{1,5})", re.ASCII)


def place(option: str, text: str) -> Place:
    """Read "127.0.0.1:8554", "[::1]:8554", "camera:554", or "8554", which is on loopback.

    Raises UsageError that names the option.
    """
    found = _PLACE.fullmatch(text)
    if found is None or int(found["port"]) > PORT_MAX:
        raise UsageError(
            f"{option} {text}: expected HOST:PORT, like 127.0.0.1:8554 or [::1]:8554,"
            f" with a port of at most {PORT_MAX}"
        )
    return (found["host"] or LOOPBACK).strip("[]"), int(found["port"])


def written(place: Place) -> str:
    """Return how a place is written, as in a URL."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
