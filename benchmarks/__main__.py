"""`python -m benchmarks [NAME …] [--quick] [--write]`: measure, and print a table a subject."""

import argparse
import shlex
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    adopt,
    capacity,
    core,
    crashes,
    faults,
    freeze,
    guards,
    heal,
    imports,
    machine,
    reboot,
    report,
    retries,
    segments,
    start,
    storm,
)
from benchmarks.figures import Subject

SUBJECTS = {
    "start": start.measure,
    "heal": heal.measure,
    "freeze": freeze.measure,
    "reboot": reboot.measure,
    "faults": faults.measure,
    "crashes": crashes.measure,
    "adopt": adopt.measure,
    "capacity": capacity.measure,
    "segments": segments.measure,
    "guards": guards.measure,
    "retries": retries.measure,
    "storm": storm.measure,
    "core": core.measure,
    "imports": imports.measure,
}
_BEGAN_S = time.monotonic()
DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Return 0 if every target is met, 1 if not, 130 after Ctrl-C or SIGTERM."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    met = True
    try:
        for name in options.names or SUBJECTS:
            subject = SUBJECTS[name](_tell, quick=options.quick)
            print(report.as_text(subject), flush=True)
            met = met and all(figure.met is not False for figure in subject.figures)
            if options.write:
                _write(name, subject)
    except KeyboardInterrupt:
        _tell("stopped; everything that ran has been ended\n")
        return 130
    return 0 if met else 1


def _write(name: str, subject: Subject) -> None:
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`."
    part = report.as_markdown(subject, conditions=(*machine.describe(), measured))
    if subject.plot is not None:
        subject.plot.draw(DOCUMENT.parent / subject.plot.name)
    DOCUMENT.write_text(report.inserted(DOCUMENT.read_text(), name, part))


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
