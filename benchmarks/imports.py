"""What importing costs: the package alone, the core's names, the supervisor."""

import subprocess
import sys
import time

from benchmarks.figures import Subject, Tell, figure_in_ms

AT_MOST_MS = 60.0
PACKAGE = "import stream_manager"
# What names cost when they are first used, and what of that is asyncio.
USES = {
    "and use RecoveryPolicy": "import stream_manager; stream_manager.RecoveryPolicy",
    "and use Supervisor": "import stream_manager; stream_manager.Supervisor",
    "for comparison: import asyncio": "import asyncio",
}


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Start interpreters, each beside a bare one."""
    count = 5 if quick else 60
    figures = []
    for name, code in {PACKAGE: PACKAGE, **USES}.items():
        tell(f"imports: {name}")
        samples = [_took_s(code) - _took_s("pass") for _ in range(count)]
        at_most = AT_MOST_MS if name == PACKAGE else None
        figures.append(figure_in_ms(name, samples, median_at_most=at_most))
    return Subject(
        title="Imports: what the library costs above a bare interpreter",
        figures=tuple(figures),
        notes=(
            "Each sample is one interpreter that imports, less one started beside it that doesn't.",
        ),
    )


def _took_s(code: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began_s
