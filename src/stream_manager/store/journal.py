"""The journal: one entry a decision, written before the decision is acted upon."""

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from stream_manager.errors import OutsideError
from stream_manager.store import schema
from stream_manager.store.rows import Row, SqlValue, from_text, row, to_text, to_text_or_none

COLUMNS = (
    "seq, because, at, stream, component, epoch, event, rule, cause, fault_class, code, message,"
    " before, after, attempt, next_attempt_at, saw, actions, late"
)
_INSERT = f"INSERT OR REPLACE INTO journal ({COLUMNS}) VALUES ({', '.join('?' * 19)})"  # noqa: S608 - constants
_READ = f"SELECT {COLUMNS} FROM journal"  # noqa: S608 - constants

Number = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened, what was decided by which rule, and what comes next.

    `because` is the seq of the entry that led to this one; `before` and `after` are phases; `saw`
    holds the numbers that the rule looked at. `late` is set by the store: the decision was acted
    upon before its entry was on disk.
    """

    seq: int
    because: int | None
    at: datetime
    stream: str
    component: str
    epoch: int
    event: str
    rule: str
    cause: str | None
    fault_class: str | None
    code: str | None
    message: str
    before: str
    after: str
    attempt: int
    next_attempt_at: datetime | None
    saw: Mapping[str, Number]
    actions: tuple[str, ...]
    late: bool = False

    def to_json(self) -> dict[str, object]:
        """Return what the API and `--json` show: plain values, times in UTC with Z."""
        return {
            "seq": self.seq,
            "because": self.because,
            "at": to_text(self.at),
            "stream": self.stream,
            "component": self.component,
            "epoch": self.epoch,
            "event": self.event,
            "rule": self.rule,
            "cause": self.cause,
            "class": self.fault_class,
            "code": self.code,
            "message": self.message,
            "before": self.before,
            "after": self.after,
            "attempt": self.attempt,
            "next_attempt_at": to_text_or_none(self.next_attempt_at),
            "saw": dict(self.saw),
            "actions": list(self.actions),
            "late": self.late,
        }


def to_row(entry: Entry, *, late: bool = False) -> Row:
    """Return the statement that writes `entry`, or replaces it."""
    return row(
        _INSERT,
        entry.seq,
        entry.because,
        to_text(entry.at),
        entry.stream,
        entry.component,
        entry.epoch,
        entry.event,
        entry.rule,
        entry.cause,
        entry.fault_class,
        entry.code,
        entry.message,
        entry.before,
        entry.after,
        entry.attempt,
        to_text_or_none(entry.next_attempt_at),
        json.dumps({name: _finite(value) for name, value in entry.saw.items()}),
        json.dumps(entry.actions),
        late,
    )


def _finite(value: Number) -> Number:
    """JSON knows neither infinity nor NaN: they are told in words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_values(values: tuple[SqlValue, ...]) -> Entry:
    """Return the entry of one row of COLUMNS."""
    record = dict(zip(COLUMNS.split(", "), values, strict=True))
    soon = record["next_attempt_at"]
    return Entry(
        **{
            **record,
            "at": from_text(str(record["at"])),
            "next_attempt_at": None if soon is None else from_text(str(soon)),
            "saw": json.loads(str(record["saw"])),
            "actions": tuple(json.loads(str(record["actions"]))),
            "late": bool(record["late"]),
        }
    )


@dataclass(frozen=True, slots=True)
class Query:
    """At most `limit` entries, of one stream or all: those next `after` a seq, or the newest."""

    stream: str | None
    after: int | None
    limit: int

    def read(
        self, connection: sqlite3.Connection, waiting: Iterable[tuple[SqlValue, ...]] = ()
    ) -> list[Entry]:
        """Return what is asked, oldest first, as if the rows `waiting` were on disk already."""
        # Only conditions that are meant: "? IS NULL OR" would keep SQLite from using its index.
        conditions = ["stream = :stream"] if self.stream is not None else []
        conditions += ["seq > :after"] if self.after is not None else []
        rows = connection.execute(
            f"{_READ} WHERE {' AND '.join(conditions) or 'TRUE'}"
            f" ORDER BY seq {'DESC' if self.after is None else 'ASC'} LIMIT :limit",
            asdict(self),
        )
        return self.pick([*rows, *waiting])

    def pick(self, rows: Iterable[tuple[SqlValue, ...]]) -> list[Entry]:
        """Return what is asked from rows of COLUMNS; of two with one seq the later one counts."""
        by_seq = {seq: values for values in rows if self._fits(seq := int(str(values[0])), values)}
        newest_last = [by_seq[seq] for seq in sorted(by_seq)]
        chosen = newest_last[-self.limit :] if self.after is None else newest_last[: self.limit]
        return [from_values(values) for values in chosen]

    def _fits(self, seq: int, values: tuple[SqlValue, ...]) -> bool:
        return self.stream in (None, values[3]) and (self.after is None or seq > self.after)


def read_journal(
    state_dir: Path, *, stream: str | None = None, after: int | None = None, limit: int = 100
) -> list[Entry]:
    """Read a journal from its directory, whether or not a manager runs there; oldest first.

    Raises OutsideError if there is none or it can't be read.
    """
    return _read(state_dir, Query(stream, after, limit).read)


def read_streams(state_dir: Path) -> list[str]:
    """Return the streams that a journal has entries of, by name; raises as read_journal() does."""
    names = "SELECT DISTINCT stream FROM journal ORDER BY stream"
    return _read(state_dir, lambda connection: [name for (name,) in connection.execute(names)])


def _read(state_dir: Path, query: Callable[[sqlite3.Connection], schema.Answer]) -> schema.Answer:
    path = state_dir / schema.NAME
    if not path.exists():
        raise OutsideError(f"no journal at {path}: no manager has run with this state_dir")
    try:
        return schema.read(path, query)
    except sqlite3.Error as error:
        if schema.is_broken(error):
            mend = "the next start of the manager sets it aside and begins a new one"
        else:
            mend = "try again when no other program holds it"
        raise OutsideError(f"the journal {path} can't be read: {error}; {mend}") from error
