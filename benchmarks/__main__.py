"""`python -m benchmarks [NAME …] [--quick] [--write]`: measure, and print a table a subject."""

import argparse
import shlex
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import capacity, freeze, heal, machine, reboot, report, start

SUBJECTS = {
    "start": start.measure,
    "heal": heal.measure,
    "freeze": freeze.measure,
    "reboot": reboot.measure,
    "capacity": capacity.measure,
}
_BEGAN_S = time.monotonic()
DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Return 0 if every target is met, 1 if not, 130 after Ctrl-C or SIGTERM."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        subjects = [
            SUBJECTS[name](_tell, quick=options.quick) for name in options.names or SUBJECTS
        ]
    except KeyboardInterrupt:
        _tell("stopped; everything that ran has been ended")
        return 130
    for subject in subjects:
        print(report.as_text(subject))
    if options.write:
        words = ["python", "-m", "benchmarks", *sys.argv[1:]]
        measured = f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{shlex.join(words)}`"
        part = report.as_markdown(subjects, conditions=(measured, *machine.describe()))
        DOCUMENT.write_text(report.inserted(DOCUMENT.read_text(), part))
        print(f"\nwritten to {DOCUMENT.relative_to(Path.cwd())}")
    return int(any(it.met is False for subject in subjects for it in subject.figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--quick", action="store_true", help="a few samples, a few minutes")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SUBJECTS]:
        parser.error(f"no such NAME: {', '.join(unknown)}; there are: {', '.join(SUBJECTS)}")
    return options


def _tell(text: str) -> None:
    """Show progress; on a terminal in one line, which the next one overwrites."""
    line = f"{time.monotonic() - _BEGAN_S:6.0f} s  {text}"
    sys.stderr.write(f"\r\033[K{line}" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
