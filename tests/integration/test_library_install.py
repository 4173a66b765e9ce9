"""`pip install` of the base into an empty environment: no dependencies, and the library works."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tests.integration.waiting import alone_with

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin directory of an environment with the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    build = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir"]
    subprocess.run([*build, str(folder), str(ROOT)], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    install = [str(folder / "env/bin/python"), "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, timeout=120)
    return folder / "env/bin"


def ran(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command far from this checkout."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd="/", env={}
    )


def test_the_base_needs_nothing_else(bare: Path) -> None:
    """Without an index pip could install it, and nothing came along."""
    listed = ran([bare / "python", "-m", "pip", "list", "--format=json"])
    names = {it["name"].replace("_", "-") for it in json.loads(listed.stdout)}
    assert names - {"pip", "setuptools"} == {"stream-manager"}


@pytest.mark.parametrize("name", ["readme.py", "supervised_process.py", "own_component.py"])
def test_an_example_runs_on_the_base_alone(bare: Path, name: str) -> None:
    """What a new user pastes works."""
    example = ROOT / "examples" / "library" / name
    with alone_with(example):  # it has a port of its own
        run = ran([bare / "python", "-I", "-W", "error", example])
    assert run.returncode == 0, run.stderr


def test_every_public_name_is_importable_from_the_base(bare: Path) -> None:
    """And so is what users' tests need; the type marker is in the wheel."""
    code = "from stream_manager import *; import stream_manager.testing, stream_manager as it, os\n"
    code += "assert os.path.exists(os.path.join(os.path.dirname(it.__file__), 'py.typed'))"
    run = ran([bare / "python", "-I", "-W", "error", "-c", code])
    assert run.returncode == 0, run.stderr


def test_the_command_says_what_it_lacks(bare: Path) -> None:
    """A sentence in place of a traceback, with what to install."""
    run = ran([bare / "stream-manager", "status"])
    assert run.returncode == 1
    assert "pip install 'stream-manager[all]'" in run.stderr
    assert "Traceback" not in run.stderr
