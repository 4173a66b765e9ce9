"""What is so now: read from the disk once, then kept in memory and written behind it."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from stream_manager.store.rows import Key, Row, from_text, row, to_text, to_text_or_none

SNAPSHOT_VERSION = 1

_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_DESIRED = "INSERT OR REPLACE INTO desired VALUES (?, ?)"
_WORKER = "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?, ?)"
_NO_WORKER = "DELETE FROM workers WHERE stream = ?"
_SNAPSHOT = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)"
_NO_SNAPSHOT = "DELETE FROM snapshots WHERE component = ?"
_COUNTERS = "INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?)"
_NO_COUNTERS = "DELETE FROM counters WHERE component = ?"
_ASIDE = "INSERT OR REPLACE INTO snapshots_aside VALUES (?, ?, ?, ?, ?, ?)"
_TOTAL = "INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?, ?)"
_OUTAGE = (
    "INSERT INTO outages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE"
    " SET ended_at = ?3, cause = ?4, code = ?5, attempts = ?6, repaired = ?7"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker process: `start_ticks` and `boot_id` tell it from a later one with its pid."""

    stream: str
    pid: int
    start_ticks: int
    boot_id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRow:
    """Last good media to first verified media; `ended_at` is None while it lasts.

    `repaired` is False for one that was cut short by a stop, an operator's or the manager's own:
    its seconds were lost, but nothing healed. While it lasts, the field says nothing.
    """

    stream: str
    began_at: datetime
    ended_at: datetime | None
    cause: str
    code: str
    attempts: int
    repaired: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One stream over its whole life. `outage_s` counts ended outages, `outages` open ones too.

    `repairs` and `repaired_s` count those alone that ended with verified media: what the mean time
    to repair is made of.
    """

    observed_s: float = 0.0
    outages: int = 0
    outage_s: float = 0.0
    repairs: int = 0
    repaired_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """A snapshot as it stands on disk: canonical JSON and its SHA-256."""

    version: int
    sha256: str
    payload: str

    @classmethod
    def of(cls, payload: Mapping[str, object]) -> "StoredSnapshot":
        """Seal `payload`, which must be JSON: TypeError or ValueError otherwise."""
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return cls(version=SNAPSHOT_VERSION, sha256=_digest(text), payload=text)

    def flaw(self) -> str | None:
        """Say why it can't be trusted, if so."""
        if self.version != SNAPSHOT_VERSION:
            return f"version {self.version}, expected {SNAPSHOT_VERSION}"
        if _digest(self.payload) != self.sha256:
            return "its checksum does not match"
        try:
            value = json.loads(self.payload)
        except ValueError as error:
            return f"not JSON: {error}"
        return None if isinstance(value, dict) else "not a JSON object"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


@dataclass(slots=True)
class State:
    """Plain dictionaries, one for each table. Used by one thread."""

    instance_id: str
    last_seq: int = 0
    desired: dict[str, bool] = field(default_factory=dict)
    workers: dict[str, WorkerRow] = field(default_factory=dict)
    snapshots: dict[str, StoredSnapshot] = field(default_factory=dict)
    counters: dict[str, StoredSnapshot] = field(default_factory=dict)
    totals: dict[str, Totals] = field(default_factory=dict)
    open_outages: dict[tuple[str, datetime], OutageRow] = field(default_factory=dict)

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> "State":
        """Read everything; raises sqlite3.Error."""
        read = connection.execute
        known = read("SELECT value FROM meta WHERE key = 'instance'").fetchone()
        # SQLite draws the number, so chance stays behind its one door in clock.py.
        (drawn,) = read("SELECT lower(hex(randomblob(8)))").fetchone()
        (last_seq,) = read("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
        open_rows = [outage(values) for values in read(f"{READ_OUTAGES} WHERE ended_at IS NULL")]
        return cls(
            instance_id=known[0] if known else drawn,
            last_seq=last_seq,
            desired={stream: bool(up) for stream, up in read("SELECT stream, up FROM desired")},
            workers={
                stream: WorkerRow(
                    stream=stream, pid=pid, start_ticks=ticks, boot_id=boot_id, epoch=epoch
                )
                for stream, pid, ticks, boot_id, epoch in read("SELECT * FROM workers")
            },
            snapshots=_stored(read("SELECT * FROM snapshots")),
            counters=_stored(read("SELECT * FROM counters")),
            totals={
                stream: Totals(
                    observed_s=observed_s,
                    outages=outages,
                    outage_s=outage_s,
                    repairs=repairs,
                    repaired_s=repaired_s,
                )
                for stream, observed_s, outages, outage_s, repairs, repaired_s in read(
                    "SELECT * FROM totals"
                )
            },
            open_outages={(row.stream, row.began_at): row for row in open_rows},
        )

    def rows(self) -> Iterator[tuple[Key, Row]]:
        """Yield what a new database must be told."""
        yield instance_row(self.instance_id)
        yield from (desired_row(stream, up) for stream, up in self.desired.items())
        yield from (worker_row(worker) for worker in self.workers.values())
        yield from (snapshot_row(name, kept) for name, kept in self.snapshots.items())
        yield from (counters_row(name, kept) for name, kept in self.counters.items())
        yield from (totals_row(stream, totals) for stream, totals in self.totals.items())

    def count(self, outage: OutageRow) -> Totals:
        """Take an outage that begins or ends into its stream's totals and return them."""
        key = (outage.stream, outage.began_at)
        totals = self.totals.get(outage.stream, Totals())
        if key not in self.open_outages:
            totals = replace(totals, outages=totals.outages + 1)
        if outage.ended_at is None:
            self.open_outages[key] = outage
        else:
            self.open_outages.pop(key, None)
            # A clock that was set back meanwhile must not take time off the total.
            lasted_s = max(0.0, (outage.ended_at - outage.began_at).total_seconds())
            totals = replace(totals, outage_s=totals.outage_s + lasted_s)
            if outage.repaired:
                totals = replace(
                    totals, repairs=totals.repairs + 1, repaired_s=totals.repaired_s + lasted_s
                )
        self.totals[outage.stream] = totals
        return totals


def _stored(rows: sqlite3.Cursor) -> dict[str, StoredSnapshot]:
    return {
        component: StoredSnapshot(version=version, sha256=sha256, payload=payload)
        for component, version, sha256, payload in rows
    }


def instance_row(instance_id: str) -> tuple[Key, Row]:
    """Return how the instance's name is written."""
    return ("meta", "instance"), row(_META, "instance", instance_id)


def desired_row(stream: str, up: bool) -> tuple[Key, Row]:  # noqa: FBT001 - a row's values in order
    """Return how an operator's wish is written."""
    return ("desired", stream), row(_DESIRED, stream, up)


def worker_row(it: WorkerRow) -> tuple[Key, Row]:
    """Return how a worker is written."""
    return ("worker", it.stream), row(
        _WORKER, it.stream, it.pid, it.start_ticks, it.boot_id, it.epoch
    )


def no_worker_row(stream: str) -> tuple[Key, Row]:
    """Return how a worker is forgotten."""
    return ("worker", stream), row(_NO_WORKER, stream)


def snapshot_row(component: str, kept: StoredSnapshot) -> tuple[Key, Row]:
    """Return how a snapshot is written."""
    return ("snapshot", component), row(
        _SNAPSHOT, component, kept.version, kept.sha256, kept.payload
    )


def counters_row(component: str, kept: StoredSnapshot) -> tuple[Key, Row]:
    """Return how a component's counters are written."""
    return ("counters", component), row(
        _COUNTERS, component, kept.version, kept.sha256, kept.payload
    )


def no_counters_row(component: str) -> tuple[Key, Row]:
    """Return how a component's counters are forgotten."""
    return ("counters", component), row(_NO_COUNTERS, component)


def aside_rows(
    component: str, kept: StoredSnapshot, reason: str, at: datetime
) -> tuple[tuple[Key, Row], tuple[Key, Row]]:
    """Return how a snapshot leaves its place, and how it is kept for whoever looks into it."""
    return (
        (("snapshot", component), row(_NO_SNAPSHOT, component)),
        (
            ("snapshots_aside", component, to_text(at)),
            row(_ASIDE, component, to_text(at), reason, kept.version, kept.sha256, kept.payload),
        ),
    )


def totals_row(stream: str, totals: Totals) -> tuple[Key, Row]:
    """Return how a stream's totals are written."""
    return ("totals", stream), row(
        _TOTAL,
        stream,
        totals.observed_s,
        totals.outages,
        totals.outage_s,
        totals.repairs,
        totals.repaired_s,
    )


READ_OUTAGES = "SELECT stream, began_at, ended_at, cause, code, attempts, repaired FROM outages"


def outage_row(it: OutageRow) -> tuple[Key, Row]:
    """Return how an outage is written, or brought up to date."""
    began, ended = to_text(it.began_at), to_text_or_none(it.ended_at)
    return ("outages", it.stream, began), row(
        _OUTAGE, it.stream, began, ended, it.cause, it.code, it.attempts, it.repaired
    )


def read_outages(connection: sqlite3.Connection, stream: str, limit: int) -> list[OutageRow]:
    """Read the newest outages of a stream, newest first."""
    query = f"{READ_OUTAGES} WHERE stream = ? ORDER BY began_at DESC LIMIT ?"
    return [outage(values) for values in connection.execute(query, (stream, limit))]


def outage(values: tuple[object, ...]) -> OutageRow:
    """Return the outage of one row of READ_OUTAGES."""
    stream, began, ended, cause, code, attempts, repaired = values
    return OutageRow(
        stream=str(stream),
        began_at=from_text(str(began)),
        ended_at=None if ended is None else from_text(str(ended)),
        cause=str(cause),
        code=str(code),
        attempts=int(str(attempts)),
        repaired=bool(repaired),
    )
