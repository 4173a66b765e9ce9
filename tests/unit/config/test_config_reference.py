"""The configuration reference says what the models do."""

import tomllib
from pathlib import Path

import pytest

from stream_manager.config.durations import duration_s
from stream_manager.config.reference import _duration, reference
from stream_manager.config.tables import (
    BackoffTable,
    BudgetTable,
    ManagerTable,
    OutputTable,
    RecordTable,
    RecoveryTable,
    StreamTable,
    Table,
    VolumeTable,
)

PAGE = Path(__file__).parents[3] / "docs/configuration.md"
EXAMPLE = Path(__file__).parents[3] / "examples/cameras.toml"
TABLES = (
    *(ManagerTable, RecoveryTable, BackoffTable, BudgetTable),
    *(VolumeTable, StreamTable, RecordTable, OutputTable),
)


def test_the_page_is_what_the_program_says() -> None:
    """Stale? python -m stream_manager.config.reference >docs/configuration.md."""
    assert PAGE.read_text() == reference()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_has_its_row_and_its_sentence(table: type[Table]) -> None:
    """A key that somebody adds can't be left unexplained."""
    page = reference()
    for name, field in table.model_fields.items():
        assert f"| `{name}` | " in page
        assert field.description, f"{name} has no sentence"
        assert field.description.endswith(".")


@pytest.mark.parametrize("text", ["500ms", "1s", "90s", "5min", "2h", "7d", "1500ms", "200ms"])
def test_durations_are_shown_as_they_are_written(text: str) -> None:
    """What the page shows as a default can be pasted into a file and means the same."""
    assert duration_s(_duration(duration_s(text))) == pytest.approx(duration_s(text))


def test_the_examples_defaults_are_the_pages() -> None:
    """What the example shows commented out as a default is what the reference says."""
    shown = [
        line.removeprefix("# ").partition("   ")[0].partition("  #")[0]
        for line in EXAMPLE.read_text().splitlines()
        if line.startswith(("# stable_for", "# verify_for", "# start_deadline", "# probe_every"))
    ]
    assert len(shown) == 4
    for name, value in tomllib.loads("\n".join(shown)).items():
        (row,) = [line for line in reference().splitlines() if line.startswith(f"| `{name}` |")]
        default = row.split(" | ")[2].strip("`")
        assert duration_s(default) == duration_s(value)
