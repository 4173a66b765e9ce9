"""What `status`, `explain` and `reload` say, field by field: a contract with people and programs.

Times are UTC ISO 8601 with Z, durations are seconds, enums are lower case.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StoreStatus(BaseModel):
    """Whether journal or index reach the disk. `state` is "ok" or "failing", since `since`."""

    state: str
    error: str | None
    waiting: int
    dropped: int
    since: datetime | None


class LoopStatus(BaseModel):
    """How late the loop of decisions was: at its newest look, and at worst in the last minutes."""

    lag_s: float
    lag_worst_s: float


class LastFault(BaseModel):
    """The newest fault of a stream or a task; `fault_class` stands under the key "class"."""

    at: str
    cause: str
    fault_class: str = Field(alias="class")
    code: str
    message: str


class TaskStatus(BaseModel):
    """A task of the manager's own, healed as streams are."""

    id: str
    state: str
    restarts_total: int
    attempt: int
    next_attempt_in_s: float | None
    last_fault: LastFault | None


class ManagerStatus(BaseModel):
    """The control process."""

    pid: int
    uptime_s: float
    version: str
    state_dir: str | None = None
    loop: LoopStatus | None = None
    tasks: list[TaskStatus] = []
    store: StoreStatus | None = None
    index: StoreStatus | None = None


class MediaStatus(BaseModel):
    """What the source has brought, over all its runs since the manager's start.

    `frames` counts those of video. `fps` and `bitrate_bps` are of the newest two seconds, 0 when
    nothing fresh has come.
    """

    model_config = ConfigDict(extra="allow")

    frames: int
    bytes: int
    last_at: str | None
    fps: float | None
    bitrate_bps: float | None


class OutputStatus(BaseModel):
    """One output; each kind adds fields of its own. `pid`: the process that it runs in."""

    model_config = ConfigDict(extra="allow")

    id: str
    kind: str
    pid: int | None
    state: str
    health: str | None
    waits_for: str | None


class UsageStatus(BaseModel):
    """What a worker takes, sampled once a second, and what it may; a limit of null is none.

    `memory_bytes` is what it has allocated and written to. `restart_due`: it is above
    `restart_above_bytes`, and restarted when its recording begins the next file.
    """

    memory_bytes: int
    memory_limit_bytes: int | None
    restart_above_bytes: int | None
    restart_due: bool
    descriptors: int
    threads: int


class StreamStatus(BaseModel):
    """One stream. `health` is null when nobody wants it to run, `pid` when no worker lives.

    `abandoned`: pids of earlier workers that were killed and that the kernel does not let go.

    `availability` is a share from 0 to 1 of the observed time, null before there is any; `mttr_s`
    is the mean time to repair, null before the first outage ended. `waits_for` is the domain in
    whose incident it waits, and null otherwise: `domains` then tells when it goes on.
    """

    id: str
    state: str
    health: str | None
    pid: int | None
    abandoned: list[int]
    epoch: int
    restarts_total: int
    attempt: int
    next_attempt_in_s: float | None
    waits_for: str | None
    last_fault: LastFault | None
    uptime_s: float | None
    availability: float | None
    outage_s_total: float
    mttr_s: float | None
    media: MediaStatus
    usage: UsageStatus | None = None
    outputs: list[OutputStatus]


class DomainStatus(BaseModel):
    """An incident under way: what failed for many at once, since its first fault.

    `state` is "suspected", "open" or "ramping". `members` are the parts that it has parked so far,
    `waiting` those that still wait. `probe` is the part that is trying for all; `next_probe_in_s`
    is null while one is, and when all may come back.
    """

    domain: str
    state: str
    cause: str
    since: str
    members: int
    waiting: int
    probe: str | None
    next_probe_in_s: float | None


class Status(BaseModel):
    """The whole of it."""

    manager: ManagerStatus
    streams: list[StreamStatus]
    domains: list[DomainStatus]
    pressure: dict[str, Any]


class Explanation(BaseModel):
    """Why a stream is as it is. `sentences` are for people, with local times; the rest is values.

    `components`, the reason for the state first, hold what the recovery core knows of each: its
    counters, its budget, its rule. `tried` is each fault since a component last began anew (was
    stable, started, reset), with what was decided about it.
    """

    stream: str
    state: str
    health: str | None
    sentences: list[str]
    components: list[dict[str, Any]]
    tried: list[dict[str, Any]]


class Reloaded(BaseModel):
    """What reading the configuration again did, streams by id; `warnings` are for people."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: list[str]
    warnings: list[str]
