"""The guide to the library, and the README: what they show runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream_manager.recovery.breaker_states import diagram

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/library.md").read_text()
# A file of the examples is run by test_examples; here it has to be the same.
PASTED = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)
SHOWN = [
    block
    for page in (PAGE, (ROOT / "README.md").read_text())
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    if block not in {code for _, code in PASTED}
]


def test_there_are_examples() -> None:
    """The page has not lost them, and they are found."""
    assert len(PASTED) == len(list((ROOT / "examples/library").glob("*.py")))
    assert len(SHOWN) >= 8


@pytest.mark.parametrize(("name", "code"), PASTED, ids=[name for name, _ in PASTED])
def test_a_pasted_file_is_the_file(name: str, code: str) -> None:
    """When it fails, paste the file anew."""
    assert code == (ROOT / name).read_text()


@pytest.mark.parametrize("code", SHOWN, ids=range(len(SHOWN)))
def test_a_shown_example_runs(code: str, tmp_path: Path) -> None:
    """Pasted into a file of its own, with warnings as errors."""
    program = tmp_path / "example.py"
    program.write_text(code)
    command = [sys.executable, "-W", "error", str(program)]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_breakers_diagram_is_its_tables_own() -> None:
    """When it fails, paste the new one."""
    assert diagram() in PAGE
