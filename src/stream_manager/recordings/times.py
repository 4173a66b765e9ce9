"""Instants and ranges of time as people name them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

from stream_manager.config.durations import duration_s
from stream_manager.errors import UsageError

EXPECTED = (
    'a date and time like "2026-11-24 06:00:05.5" or "2026-11-24T06:00", a time of today like'
    ' "06:00" (local, or with Z or an offset like +02:00), or how long ago: "10min", "2h", "7d"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From `since` until before `until`; either may be open. Raises UsageError if it is empty."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise UsageError(
                f"--from ({self.since.astimezone():%Y-%m-%d %H:%M:%S}) is not before"
                f" --to ({self.until.astimezone():%Y-%m-%d %H:%M:%S}): nothing lies between them"
            )

    def holds(self, at: datetime) -> bool:
        """Tell whether an instant lies in it."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def range_of(since: str | None, until: str | None, *, now: datetime) -> Range:
    """Return the range that two texts name. Raises UsageError, which names the text."""
    return Range(
        since=None if since is None else instant(since, option="--from", now=now),
        until=None if until is None else instant(until, option="--to", now=now),
    )


def instant(text: str, *, option: str, now: datetime) -> datetime:
    """Return the instant (UTC) that a text names. Raises UsageError for text of no known form."""
    for form in (_ago, _time_of_today, _date):
        try:
            return form(text.strip(), now).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise UsageError(f"{option} {text!r} is no time; expected is {EXPECTED}")


def _ago(text: str, now: datetime) -> datetime:
    return now - timedelta(seconds=duration_s(text))


def _time_of_today(text: str, now: datetime) -> datetime:
    if ":" not in text:  # "10" would be ten o'clock, and was meant as a duration
        raise ValueError(text)
    at = time_of_day.fromisoformat(text)
    return datetime.combine(now.astimezone(at.tzinfo).date(), at)


def _date(text: str, _now: datetime) -> datetime:
    return datetime.fromisoformat(text)
