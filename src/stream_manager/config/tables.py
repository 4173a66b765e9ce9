"""The file's tables, one model each: which keys there are, of what form, with which defaults.

A model judges each key by itself; what keys mean together is judged later. So every key has a
default, and a table with one bad key can still be judged by its others.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from stream_manager.config.durations import EXPECTED as EXPECTED_DURATION
from stream_manager.config.durations import duration_s
from stream_manager.pipelines.spec import Container
from stream_manager.recovery.backoff import MAX_FACTOR, Jitter
from stream_manager.recovery.policy import RecoveryPolicy

# The error type whose message is, as it stands, what was expected.
EXPECTED = "expected"

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LISTEN = re.compile(r"(?P<host>[^\[\]:]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})")
_DEFAULTS = RecoveryPolicy()


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


_any_duration = _duration()
_segment = _duration(least="1s")
_latency = _duration(least="0s", most="60s")
_or_auto = _duration('"auto" or ')
_or_attempts = _duration('"never", a number of attempts above 0, or ')


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
class GiveUpAfter:
    """How long recovery is tried; neither set is for ever."""

    attempts: int | None = None
    duration_s: float | None = None


def _give_up_after(value: object) -> GiveUpAfter:
    if value == "never":
        return GiveUpAfter()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return GiveUpAfter(attempts=value)
    return GiveUpAfter(duration_s=_or_attempts(value))


def _stall_after(value: object) -> float | None:
    return None if value == "auto" else _or_auto(value)


Duration = Annotated[float, PlainValidator(_any_duration)]
Id = Annotated[str, AfterValidator(_identifier)]
DirectoryPath = Annotated[str, AfterValidator(_path)]


class Table(BaseModel):
    """What all tables share: unknown keys are refused, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def own_values(self) -> dict[str, Any]:
        """Return the keys that the file sets, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ManagerTable(Table):
    """`[manager]`. Without `runtime_dir` the user's own place for sockets is taken."""

    state_dir: DirectoryPath = "./state"
    runtime_dir: DirectoryPath | None = None
    listen: Annotated[tuple[str, int] | None, PlainValidator(_listen)] = None


class BackoffTable(Table):
    """`backoff = { … }`."""

    base: Duration = _DEFAULTS.backoff.base_s
    factor: Annotated[float, Field(ge=1, le=MAX_FACTOR, allow_inf_nan=False)] = (
        _DEFAULTS.backoff.factor
    )
    cap: Duration = _DEFAULTS.backoff.cap_s
    jitter: Jitter = _DEFAULTS.backoff.jitter


class BudgetTable(Table):
    """`budget = { … }`."""

    restarts: Annotated[int, Field(ge=1, le=1000)] = _DEFAULTS.budget.restarts
    within: Duration = _DEFAULTS.budget.within_s


class RecoveryTable(Table):
    """`[recovery]`, and the same keys in a stream."""

    backoff: BackoffTable = BackoffTable()
    budget: BudgetTable = BudgetTable()
    stable_for: Duration = _DEFAULTS.stable_for_s
    give_up_after: Annotated[GiveUpAfter, PlainValidator(_give_up_after)] = GiveUpAfter()
    stall_after: Annotated[float | None, PlainValidator(_stall_after)] = None
    verify_for: Duration = _DEFAULTS.verify_for_s
    start_deadline: Duration = _DEFAULTS.start_deadline_s
    probe_every: Duration = _DEFAULTS.probe_every_s

    def with_own(self, own: "RecoveryTable") -> "RecoveryTable":
        """Return this table with each key that `own` sets in its place, in inner tables too."""
        own_values = own.own_values()
        return self.model_copy(
            update={
                **{key: own_values[key] for key in own_values.keys() & RecoveryTable.model_fields},
                "backoff": self.backoff.model_copy(update=own.backoff.own_values()),
                "budget": self.budget.model_copy(update=own.budget.own_values()),
            }
        )


class RecordTable(Table):
    """`record = { … }`."""

    volumes: list[str] = []
    segment: Annotated[float, PlainValidator(_segment)] = 60.0
    container: Container = "auto"


class StreamTable(RecoveryTable):
    """`[[streams]]`."""

    id: Id = ""
    source: str | None = None
    pipeline: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    latency: Annotated[float, PlainValidator(_latency)] = 0.2
    record: RecordTable | None = None


class VolumeTable(Table):
    """`[[volumes]]`."""

    id: Id = ""
    path: DirectoryPath = ""


class Document(Table):
    """The file: its tables as they stand, each judged by its own model."""

    manager: dict[str, object] = {}
    recovery: dict[str, object] = {}
    volumes: list[dict[str, object]] = []
    streams: list[dict[str, object]] = []
