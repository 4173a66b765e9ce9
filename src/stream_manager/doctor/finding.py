"""What a check says."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is; UNKNOWN where it can't be found out, which is never "fine"."""

    OK = "ok"
    WARNING = "warning"  # it runs, and something that was promised may not be kept
    PROBLEM = "problem"  # something will not work
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `check` names it, `mend` is a line to paste, "" where none is needed."""

    check: str
    level: Level
    found: str
    mend: str = ""

    def to_json(self) -> dict[str, str | None]:
        """Return plain values."""
        return {
            "check": self.check,
            "level": self.level.value,
            "found": self.found,
            "mend": self.mend or None,
        }


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, level=Level.OK, found=found)


def warning(check: str, found: str, mend: str) -> Finding:
    """Return what works and may disappoint."""
    return Finding(check=check, level=Level.WARNING, found=found, mend=mend)


def problem(check: str, found: str, mend: str) -> Finding:
    """Return what will not work."""
    return Finding(check=check, level=Level.PROBLEM, found=found, mend=mend)


def unknown(check: str, found: str, mend: str) -> Finding:
    """Return what could not be found out."""
    return Finding(check=check, level=Level.UNKNOWN, found=found, mend=mend)
