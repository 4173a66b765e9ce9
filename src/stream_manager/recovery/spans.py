"""Durations as people are told them."""

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400


def span(duration_s: float) -> str:
    """Return a duration in its two largest units, like "4 s", "3 min", "2 h 5 min", "1 d 3 h"."""
    seconds = max(0, round(duration_s))
    if seconds < 2 * MINUTE_S:
        return f"{seconds} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min"
    if seconds < DAY_S:
        return f"{seconds // HOUR_S} h {seconds % HOUR_S // MINUTE_S} min"
    return f"{seconds // DAY_S} d {seconds % DAY_S // HOUR_S} h"
