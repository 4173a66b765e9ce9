"""Who may import whom: the layers of the design, checked in every file."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import stream_manager

ROOT = Path(stream_manager.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# From the ground up: a part imports parts of lower layers only, and of its own layer only itself.
# A longer name takes its files out of a shorter one's.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "clock", "version"),
    ("recovery",),
    ("supervision",),
    ("testing",),
    ("pipelines.spec", "pipelines.sockets"),
    ("pipelines.messages", "pipelines.containers"),
    ("pipelines.findings", "pipelines.logfile", "pipelines.scrubbing"),
    ("pipelines", "config", "store", "health"),
    ("recordings", "evidence"),
    ("api",),
    ("streams", "probe", "doctor"),
    ("cli",),
)
# Beside the layers: it may use all of them, and only a command of its own may use it.
BESIDE = "lab"
SHOWS_THE_LAB = (
    *("cli.demo", "cli.demo_view"),
    *("cli.lab_camera", "cli.lab_console", "cli.lab_proxy"),
    *("cli.simulate", "cli.simulate_view"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

IMPURE = frozenset(
    {"asyncio", "datetime", "gi", "logging", "random", "sqlite3", "subprocess", "threading", "time"}
)
WITH_GI = ("pipelines", "lab")
WITH_TIME = ("clock", "pipelines", "lab")
WITHOUT_GI = (
    *("pipelines.spec", "pipelines.sockets", "pipelines.messages"),
    *("pipelines.names", "pipelines.measurement", "pipelines.identity", "pipelines.ledger"),
    *("pipelines.containers", "pipelines.findings"),
    *("pipelines.logfile", "pipelines.scrubbing"),
)
VAGUE_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "misc"})


def module(path: Path) -> str:
    """Return a file's module name within the package, for example "recovery.engine"."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(name: str) -> str:
    """Return the layers' name for a module: the longest that fits."""
    fitting = [known for known in (*LEVELS, BESIDE) if within(name, known)]
    return max(fitting, key=len, default="")


def within(name: str, package: str) -> bool:
    """Tell whether a module is a package or inside it."""
    return name == package or name.startswith(f"{package}.")


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            yield node.module


def own(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports, named within it."""
    for name in imported(path):
        if within(name, "stream_manager"):
            yield name.removeprefix("stream_manager").removeprefix(".")


def foreign(path: Path) -> set[str]:
    """Return the top names of all that a file imports from elsewhere."""
    return {name.partition(".")[0] for name in imported(path)} - {"stream_manager"}


def reads_time_or_chance(path: Path) -> bool:
    """Tell whether a file asks a clock or draws; to sleep or to know a date's type is neither."""
    asked = {
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    dates = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
    clocks = {pair for pair in asked if pair[0] == "time" and pair[1] != "sleep"}
    return "random" in foreign(path) or bool(clocks | (asked & dates))


def files_of(*packages: str) -> list[Path]:
    """Return the files of some parts of the package."""
    return [path for path in FILES if any(within(module(path), name) for name in packages)]


def test_every_file_has_its_place() -> None:
    """A new package is written into the layers before anything imports it."""
    assert [module(path) for path in FILES if module(path) and not part(module(path))] == []


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_downwards(path: Path) -> None:
    """A file imports its own part and lower layers; only commands of its own import the lab."""
    here = part(module(path))
    for there in (part(name) for name in own(path)):
        if there == BESIDE:
            assert here == BESIDE or module(path) in SHOWS_THE_LAB
        elif there != here and here in LEVELS:
            assert LEVELS[there] < LEVELS[here], f"{module(path)} imports {there}"


@pytest.mark.parametrize("path", files_of("recovery"), ids=module)
def test_recovery_imports_nothing_that_acts(path: Path) -> None:
    """The core knows errors and itself: no clock, no chance, no I/O, no framework."""
    assert {part(name) for name in own(path)} <= {"recovery", "errors"}
    assert foreign(path) <= set(sys.stdlib_module_names) - IMPURE


@pytest.mark.parametrize("path", files_of("supervision"), ids=module)
def test_supervision_needs_the_standard_library_alone(path: Path) -> None:
    """The library half of the product installs with nothing else."""
    assert {part(name) for name in own(path)} <= {"supervision", "recovery", "clock", "errors"}
    assert foreign(path) <= set(sys.stdlib_module_names)


def test_only_workers_and_the_lab_know_gstreamer() -> None:
    """Its binding is imported in pipelines and lab, and not in what the manager shares."""
    importers = {module(path) for path in FILES if "gi" in foreign(path)}
    assert [name for name in importers if not any(within(name, home) for home in WITH_GI)] == []
    assert importers.isdisjoint(WITHOUT_GI)


def test_only_the_clock_reads_time_and_chance() -> None:
    """Everything else is handed its instants, so that tests can move them."""
    readers = {module(path) for path in FILES if reads_time_or_chance(path)}
    assert [name for name in readers if not any(within(name, home) for home in WITH_TIME)] == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    """A name like utils is a sign that a concept is missing."""
    assert [str(path) for path in FILES if path.stem in VAGUE_NAMES] == []


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("recovery", IMPURE),
        ("supervision", frozenset({"gi", "msgspec", "pydantic", "fastapi", "structlog"})),
        ("recordings", frozenset({"gi"})),
        ("streams", frozenset({"gi"})),
        ("probe", frozenset({"gi"})),
        # It must be able to say that any of these is missing.
        ("doctor", frozenset({"gi", "msgspec", "pydantic", "fastapi", "structlog"})),
        ("cli", frozenset({"gi"})),
    ],
)
def test_a_clean_interpreter_loads_no_more_than_allowed(
    package: str, unwanted: frozenset[str]
) -> None:
    """Importing a package really loads none of what it must not know, by any detour."""
    script = f"import sys; before = set(sys.modules); import stream_manager.{package}\n"
    script += "print(*(set(sys.modules) - before))"
    run = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert unwanted.isdisjoint(run.stdout.split())


def test_the_layers_are_told_apart() -> None:
    """No part stands in two layers."""
    names = sorted(name for names in LAYERS for name in names)
    assert all(one != other for one, other in pairwise(names))
