"""The examples of the library do what they say, each as a user would run it."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.waiting import alone_with

EXAMPLES = Path(__file__).parents[2] / "examples" / "library"
PRINTED = {
    "readme.py": ("ingest is backing off", "ECONNREFUSED", "read a line", "ingest is running"),
    "supervised_process.py": ("worker is running", "SIGKILL"),
    "own_rules.py": ("poll is backing off", "Rule api-down", "upload is failed"),
    "own_component.py": ("run 1 goes on from 0", "run 2 goes on from 20", "run 2 is at"),
    "test_ingest.py": ("2 passed",),
}
pytestmark = pytest.mark.media


def test_every_example_is_run() -> None:
    """None is added that nobody tries."""
    assert sorted(it.name for it in EXAMPLES.glob("*.py")) == sorted(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_runs(name: str) -> None:
    """It ends by itself, without a warning, and has printed what it is about."""
    pytest_needed = ["-m", "pytest", "-p", "no:cacheprovider"] if name.startswith("test_") else []
    with alone_with(EXAMPLES / name):  # it has a port of its own
        run = subprocess.run(
            [sys.executable, "-W", "error", *pytest_needed, EXAMPLES / name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    for words in PRINTED[name]:
        assert words in run.stdout
