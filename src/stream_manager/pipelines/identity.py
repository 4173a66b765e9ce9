"""Telling a process from a later one with its pid."""

from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """Return when `pid` was started, in clock ticks since boot; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] == "Z" else int(fields[19])
