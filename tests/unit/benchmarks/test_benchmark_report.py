import pytest
from benchmarks.figures import Figure, Subject
from benchmarks.report import BEGIN, END, as_markdown, as_text, inserted, number

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
    assert as_markdown([SUBJECT], conditions=["2 cores"]).splitlines() == [
        "- 2 cores",
        "",
        "## Heal",
        "",
        "| figure | n | median | p99 | unit | target | met |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
        "| a\\|b | 2 | 175 | 250 | ms | median ≤ 150, p99 ≤ 800 | NO |",
        "| peer | 1 | 1,290 | 1,290 | ms |  |  |",
        "",
        "- 20 streams",
        "- peer: its start alone",
    ]


def test_insertion_keeps_what_people_wrote() -> None:
    """What stands around the markers stays, and a second insertion replaces the first."""
    once = inserted(f"Intro\n{BEGIN}\nold\n{END}\nOutro\n", "new\n")
    assert once == f"Intro\n{BEGIN}\n\nnew\n\n{END}\nOutro\n"
    assert inserted(once, "new\n") == once


@pytest.mark.parametrize("document", ["", BEGIN, END])
def test_insertion_refuses_a_document_without_markers(document: str) -> None:
    """Nothing is written where it is not known what may be replaced."""
    with pytest.raises(ValueError, match="lacks the line"):
        inserted(document, "new")
