"""One fault that belongs to an incident, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from stream_manager.evidence.examination import Examination


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is written down of a finding, beside its files.

    seq: of the journal's entry about it. number: the first finding's seq, which names the incident.
    epoch: the worker process it happened in, whose pid was `pid`; None where none lived.
    exit: how that process ended, in words; None where it lives, or nobody saw it.
    """

    number: int
    seq: int
    at: datetime
    stream: str
    component: str
    rule: str
    cause: str
    fault_class: str
    code: str
    text: str
    epoch: int
    pid: int | None
    exit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is kept, and where the rest of it is to be found.

    log_path: the worker's log. secrets: what must stand in no file. graphs: by part, Graphviz's
    language compressed by zlib. examination: of a process that hung. server_log: the fork server's,
    where that is what failed.
    """

    kept: Kept
    log_path: Path
    secrets: tuple[str, ...] = field(repr=False)
    graphs: Mapping[str, bytes]
    examination: Examination | None = None
    server_log: Path | None = None
