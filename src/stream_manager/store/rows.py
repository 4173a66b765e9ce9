"""What a row is on its way to the disk: one statement with its values, under a key."""

from dataclasses import dataclass
from datetime import UTC, datetime

SqlValue = str | int | float | None
# A table and what identifies the row in it. A newer row under the same key replaces a waiting one.
Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One statement, compared by identity.

    A row that was replaced while it was being written is another row, and waits for its own turn.
    """

    sql: str
    values: tuple[SqlValue, ...]


def row(sql: str, *values: SqlValue) -> Row:
    """Make a Row that SQLite can't refuse: text with lone surrogates is not UTF-8."""
    return Row(sql, tuple(_clean(value) if isinstance(value, str) else value for value in values))


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def to_text(at: datetime) -> str:
    """Return an aware `at` as UTC ISO 8601 with microseconds and Z, which sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def to_text_or_none(at: datetime | None) -> str | None:
    """Return to_text() of an instant that may be missing."""
    return None if at is None else to_text(at)


def from_text(text: str) -> datetime:
    """Return the aware UTC datetime that to_text() wrote; ValueError if it did not."""
    return datetime.fromisoformat(text)
