"""The heads of RTSP messages as a gateway needs them: fields, and `Transport` in its parts."""

import re
from collections.abc import Mapping

PORT_MAX = 65535
_STATUS = re.compile(r"RTSP/1\.\d (\d{3})")
_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def method(head: str) -> str:
    """Return what a request asks for."""
    return head.partition(" ")[0]


def status(head: str) -> int | None:
    """Return what a response says; None: it is a request."""
    found = _STATUS.match(head)
    return int(found[1]) if found else None


def field(head: str, name: str) -> str | None:
    """Return the value of a head's field."""
    found = _field(name).search(head)
    return found[2] if found else None


def with_field(head: str, name: str, value: str) -> str:
    """Return the head with another value in a field that it has, and all else as it was."""
    return _field(name).sub(lambda found: f"{found[1]}{value}", head, count=1)


def _field(name: str) -> re.Pattern[str]:
    return re.compile(rf"(\r\n{name}[ \t]*:[ \t]*)([^\r\n]*)", re.IGNORECASE)


def parameter(transport: str, name: str) -> str | None:
    """Return the value of a parameter in one alternative of a transport, like "5000-5001"."""
    for part in transport.split(";"):
        key, equals, value = part.partition("=")
        if equals and key.strip().lower() == name:
            return value.strip()
    return None


def with_parameters(transport: str, values: Mapping[str, str]) -> str:
    """Return the alternative with other values for those of the parameters that it has."""
    parts = []
    for part in transport.split(";"):
        key, equals, _ = part.partition("=")
        value = values.get(key.strip().lower()) if equals else None
        parts.append(part if value is None else f"{key}={value}")
    return ";".join(parts)


def numbers(text: str | None) -> tuple[int, int] | None:
    """Return the ports or channels for RTP and RTCP that "5000-5001" or "5000" names, or None."""
    found = _PAIR.fullmatch(text or "")
    if found is None:
        return None
    first = int(found[1])
    second = int(found[2]) if found[2] else first + 1
    return (first, second) if max(first, second) <= PORT_MAX else None


def written(pair: tuple[int, int]) -> str:
    """Return how `numbers` reads them."""
    return f"{pair[0]}-{pair[1]}"
