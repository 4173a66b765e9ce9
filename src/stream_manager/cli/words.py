"""How times, spans and rates are put for people: in local time, with units, in few characters."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stream_manager.recovery import span

# Below this a hundredth of a second may matter.
SHORT_S = 120.0
# What GStreamer adds for its developers: " (file.c(123): function (): /element)".
_DEBUG = re.compile(r" \([^\s()]+\.[a-z]+\(\d+\): .*\)$", re.DOTALL)


def at(instant: datetime, now: datetime) -> str:
    """Return the local time of day, with the date unless it is today's."""
    local = instant.astimezone()
    today = local.date() == now.astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


def ago(instant: datetime, now: datetime) -> str:
    """Return how long ago something was."""
    return f"{span((now - instant).total_seconds())} ago"


def in_time(delay_s: float, now: datetime) -> str:
    """Return when something will be, as a time and as a span."""
    return f"at {at(now + timedelta(seconds=delay_s), now)} (in {span(delay_s)})"


def seconds(duration_s: float) -> str:
    """Return a duration to a hundredth of a second while it is short, else as span()."""
    return f"{duration_s:.2f} s" if duration_s < SHORT_S else span(duration_s)


def stamp(instant: datetime) -> str:
    """Return local date and time to the millisecond."""
    local = instant.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03}"


def share(fraction: float) -> str:
    """Return a share in percent; never 100 unless it is whole."""
    percent = int(fraction * 100_000) / 1000
    return "100 %" if fraction >= 1 else f"{percent:.2f} %" if percent < 99.99 else f"{percent} %"


def bit_rate(bits_per_s: float) -> str:
    """Return a bit rate with three digits or less."""
    if bits_per_s < 1e6:
        return f"{bits_per_s / 1e3:.0f} kbit/s"
    return f"{bits_per_s / 1e6:.1f} Mbit/s"


def without_debug(message: str) -> str:
    """Return a fault's message without the place in GStreamer's source that raised it."""
    return _DEBUG.sub("", message)


def not_saved(what: str, health: Mapping[str, Any], now: datetime) -> str:
    """Return a sentence on a database that fails, from what the API tells of it."""
    began_at = health["since"]
    since = "" if began_at is None else f" since {at(datetime.fromisoformat(began_at), now)}"
    return (
        f"The {what} is not being saved{since}: {plain(health['error'] or '')};"
        f" {health['waiting']} rows wait in memory, {health['dropped']} are lost"
    )


def plain(text: str) -> str:
    """Return text from outside as one line without control characters, which terminals obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
