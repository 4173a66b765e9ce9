"""The package's own names: complete, typed, and loaded when they are asked for."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import stream_manager

SOURCES = Path(stream_manager.__file__).parents[1]


def loaded_by(code: str) -> set[str]:
    """Return the modules that `code` loads in a clean interpreter, in which site loads none."""
    script = f"import sys; before = set(sys.modules)\n{code}\n"
    script += "print(*(set(sys.modules) - before))"
    run = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(SOURCES)},
    )
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    """Names come when they are used, and their modules with them."""
    assert loaded_by("import stream_manager") == {"stream_manager"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("stream_manager.Backoff, stream_manager.RecoveryPolicy", {"asyncio", "logging", "socket"}),
        ("stream_manager.UsageError", {"asyncio", "dataclasses", "enum", "typing"}),
        ("stream_manager.Supervisor", {"pydantic", "structlog", "msgspec", "gi", "sqlite3"}),
    ],
)
def test_a_name_loads_no_more_than_it_needs(code: str, unwanted: set[str]) -> None:
    """The core comes without asyncio, and nothing without need comes at all."""
    assert loaded_by(f"import stream_manager; {code}").isdisjoint(unwanted)


@pytest.mark.parametrize("name", stream_manager.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each resolves to what its home calls by the same name."""
    home = import_module(f"stream_manager.{stream_manager._HOME_OF[name]}")
    assert getattr(stream_manager, name) is getattr(home, name)
    assert name in dir(stream_manager)


def test_the_table_of_homes_and_the_list_of_names_agree() -> None:
    """A name that is added to one alone is noticed; both are sorted for the reader."""
    assert sorted(stream_manager._HOME_OF) == stream_manager.__all__


def test_a_wrong_name_is_an_attribute_error() -> None:
    """As of any module, so that hasattr and from-imports work."""
    with pytest.raises(AttributeError, match="'Supervizor'"):
        stream_manager.Supervizor  # noqa: B018 - the access is the test
