"""`stream-manager check`: judges a file and starts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_manager.config.loading import load
from stream_manager.config.problems import ConfigurationErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to print, and the exit code: 0 for a file that `run` takes, 2 for any other."""

    lines: tuple[str, ...]
    exit_code: int


def check(path: Path, environ: Mapping[str, str]) -> Verdict:
    """Judge the file; the last line is the summary. Raises nothing for whatever is in it."""
    try:
        configuration = load(path, environ)
    except ConfigurationErrors as wrong:
        lines = (*map(str, wrong.errors), f"{path}: {_count(len(wrong.errors), 'error')}")
        return Verdict(lines=lines, exit_code=2)
    warnings = configuration.warnings
    summary = (
        f"{path}: good, {_count(len(configuration.streams), 'stream')}, "
        f"{_count(len(configuration.volumes), 'volume')}, {_count(len(warnings), 'warning')}"
    )
    return Verdict(lines=(*(f"{warning} (warning)" for warning in warnings), summary), exit_code=0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
