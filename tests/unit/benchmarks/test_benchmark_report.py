import pytest
from benchmarks.figures import Figure, Subject
from benchmarks.report import as_markdown, as_text, inserted, number

SUBJECT = Subject(
    title="Heal",
    figures=(
        Figure(name="a|b", unit="ms", samples=(100, 250.04), median_at_most=150, p99_at_most=800),
        Figure(name="peer", unit="ms", samples=(1290,), note="its start alone"),
    ),
    notes=("20 streams",),
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12, "12"),
        (1290.4, "1,290"),
        (99.96, "100"),
        (66.64, "66.6"),
        (1.504, "1.50"),
        (0.0761, "0.0761"),
        (-3.2, "-3.20"),
    ],
)
def test_number(value: float, shown: str) -> None:
    """Numbers show about three digits and never an exponent, whatever their size."""
    assert number(value) == shown


def test_text() -> None:
    """On a terminal columns are aligned, a missed target stands out and notes follow."""
    assert as_text(SUBJECT).splitlines() == [
        "",
        "Heal",
        "  figure  n  median    p99  unit  target                   met",
        "  a|b     2     175    250  ms    median ≤ 150, p99 ≤ 800  NO",
        "  peer    1   1,290  1,290  ms",
        "  20 streams",
        "  peer: its start alone",
    ]


def test_markdown() -> None:
    """In the documentation a subject is a heading, a table whose cells are escaped, and notes."""
    assert as_markdown(SUBJECT, conditions=["2 cores"]).splitlines() == [
        "## Heal",
        "",
        "| figure | n | median | p99 | unit | target | met |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
        "| a\\|b | 2 | 175 | 250 | ms | median ≤ 150, p99 ≤ 800 | NO |",
        "| peer | 1 | 1,290 | 1,290 | ms |  |  |",
        "",
        "- 20 streams",
        "- peer: its start alone",
        "- 2 cores",
    ]


def test_insertion_keeps_what_people_wrote() -> None:
    """What stands around a subject's place stays, and a second insertion replaces the first."""
    page = (
        "Intro\n<!-- written by: benchmarks heal -->\nold\n<!-- end: heal -->\n"
        "<!-- written by: benchmarks start -->\nother\n<!-- end: start -->\nOutro\n"
    )
    once = inserted(page, "heal", "new\n")
    assert once == page.replace("old", "new")
    assert inserted(once, "heal", "new\n") == once


@pytest.mark.parametrize(
    "page", ["", "<!-- written by: benchmarks heal -->\n", "<!-- end: heal -->\n"]
)
def test_insertion_needs_its_place(page: str) -> None:
    """Nothing is written where it is not known what may be replaced."""
    with pytest.raises(ValueError, match="lacks"):
        inserted(page, "heal", "new\n")
