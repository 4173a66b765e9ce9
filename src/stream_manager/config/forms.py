"""How single values are written: durations, ids, paths, addresses; each judged by itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, TypeGuard

from pydantic import AfterValidator, PlainValidator
from pydantic_core import PydanticCustomError

from stream_manager.config.durations import EXPECTED as EXPECTED_DURATION
from stream_manager.config.durations import duration_s
from stream_manager.config.sizes import EXPECTED as EXPECTED_SIZE
from stream_manager.config.sizes import size_bytes

# The error type whose message is, as it stands, what was expected.
EXPECTED = "expected"

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DOMAIN = re.compile(r"[a-z][a-z0-9-]{0,31}:\S{1,200}")
_LISTEN = re.compile(r"(?P<host>[^\[\]:]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Form:
    """What the reference says of a key beyond its type: how it is written, and without it.

    `default` is empty where the model's own default can be shown.
    """

    written: str
    default: str = ""


def _refusal(expected: str) -> PydanticCustomError:
    return PydanticCustomError(EXPECTED, "{expected}", {"expected": expected})


def _duration(
    among: str = "", *, least: str = "1ms", most: str = "365d"
) -> Callable[[object], float]:
    """Make the validator of a duration within bounds; `among` names what else may stand there."""
    least_s, most_s = duration_s(least), duration_s(most)

    def seconds_of(value: object) -> float:
        try:
            seconds = duration_s(value) if isinstance(value, str) else None
        except ValueError:
            seconds = None
        if seconds is None:
            raise _refusal(among + EXPECTED_DURATION)
        if not least_s <= seconds <= most_s:
            raise _refusal(f"{among}a duration from {least} to {most}")
        return seconds

    return seconds_of


_or_auto = _duration('"auto" or ')
_or_attempts = _duration('"never", a number of attempts above 0, or ')
_or_never = _duration('"never" or ', least="0s", most="30d")


MOST_ATTEMPTS = 1_000_000
LEAST_MEMORY, MOST_MEMORY = "64MiB", "1TiB"  # a worker of one small stream takes 25 MiB


def _memory(value: object) -> int:
    try:
        size = size_bytes(value) if isinstance(value, str) else None
    except ValueError:
        size = None
    if size is None:
        raise _refusal(EXPECTED_SIZE)
    if not size_bytes(LEAST_MEMORY) <= size <= size_bytes(MOST_MEMORY):
        raise _refusal(f"a size from {LEAST_MEMORY} to {MOST_MEMORY}")
    return size


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether a value can name a stream or a volume."""
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _identifier(text: str) -> str:
    if not is_id(text):
        raise _refusal("1 to 64 of a-z, 0-9, _ and -, a letter or digit first: it names files")
    return text


def _path(text: str) -> str:
    if not text or not text.isprintable():
        raise _refusal("a path")
    return text


def _domain(text: str) -> str:
    if not (_DOMAIN.fullmatch(text) and text.isprintable()):
        raise _refusal('"KIND:NAME" like "api:billing", the kind of a-z, 0-9 and -, no spaces')
    return text


def _listen(value: object) -> tuple[str, int] | None:
    if value == "":
        return None
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found["port"]) <= 65535:
        raise _refusal('"HOST:PORT" like "127.0.0.1:8080", or "" for none')
    host = found["host"].strip("[]")
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise _refusal("a loopback host: without authentication no other is in this version")
    return host, int(found["port"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long recovery is tried; neither set is for ever."""

    attempts: int | None = None
    duration_s: float | None = None


def _patience(value: object) -> Patience:
    if value == "never":
        return Patience()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        if value > MOST_ATTEMPTS:
            raise _refusal(f"at most {MOST_ATTEMPTS} attempts")
        return Patience(attempts=value)
    return Patience(duration_s=_or_attempts(value))


def _stall_after(value: object) -> float | None:
    return None if value == "auto" else _or_auto(value)


def _grace(value: object) -> float | None:
    return None if value == "never" else _or_never(value)


Duration = Annotated[float, PlainValidator(_duration()), Form("duration, 1ms to 365d")]
Segment = Annotated[float, PlainValidator(_duration(least="1s")), Form("duration, 1s to 365d")]
Latency = Annotated[
    float, PlainValidator(_duration(least="0s", most="60s")), Form("duration, 0s to 60s")
]
Memory = Annotated[
    int | None,
    PlainValidator(_memory),
    Form(f"size, {LEAST_MEMORY} to {MOST_MEMORY}", default="none"),
]
StallAfter = Annotated[
    float | None,
    PlainValidator(_stall_after),
    Form('"auto" or duration, 1ms to 365d', default='"auto"'),
]
Grace = Annotated[
    float | None,
    PlainValidator(_grace),
    Form('"never" or duration, 0s to 30d', default='"never"'),
]
GiveUpAfter = Annotated[
    Patience,
    PlainValidator(_patience),
    Form('"never", number of attempts above 0, or duration, 1ms to 365d', default='"never"'),
]
Id = Annotated[
    str,
    AfterValidator(_identifier),
    Form("1 to 64 of a-z, 0-9, _ and -, a letter or digit first", default="required"),
]
DomainName = Annotated[str, AfterValidator(_domain)]
DirectoryPath = Annotated[str, AfterValidator(_path), Form("path")]
Listen = Annotated[
    tuple[str, int] | None,
    PlainValidator(_listen),
    Form('"HOST:PORT" with a loopback host, or "" for none', default='""'),
]
