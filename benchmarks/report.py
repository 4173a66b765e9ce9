"""How figures are shown: a table for the terminal, the same as Markdown for the documentation."""

from collections.abc import Iterable

from benchmarks.figures import Figure, Subject, Table

HEADER = ("figure", "n", "median", "p99", "unit", "target", "met")
RIGHT = frozenset({"n", "median", "p99"})


def as_text(subject: Subject) -> str:
    """Return a subject as aligned columns."""
    lines = [f"\n{subject.title}", *_aligned(_figures(subject))]
    lines += [f"  {note}" for note in _notes(subject)]
    if subject.table is not None:
        lines += ["", *_aligned(subject.table)]
    return "\n".join(lines)


def as_markdown(subject: Subject, *, conditions: Iterable[str]) -> str:
    """Return a subject as a heading, its tables, its notes and what it was measured under."""
    lines = [f"## {subject.title}", "", *_rows(_figures(subject))]
    lines += ["", *(f"- {line}" for line in (*_notes(subject), *conditions))]
    if subject.plot is not None:
        lines += ["", f"![{subject.plot.shows}]({subject.plot.name})"]
    if subject.table is not None:
        lines += ["", *_rows(subject.table)]
    return "\n".join(lines) + "\n"


def _figures(subject: Subject) -> Table:
    return Table(rows=(HEADER, *map(_cells, subject.figures)), right=RIGHT)


def _aligned(table: Table) -> list[str]:
    titles = table.rows[0]
    widths = [max(len(row[column]) for row in table.rows) for column in range(len(titles))]
    lines = []
    for row in table.rows:
        cells = (
            cell.rjust(width) if title in table.right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        )
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _rows(table: Table) -> list[str]:
    titles, *rows = table.rows
    borders = ("---:" if title in table.right else "---" for title in titles)
    return [_row(titles), _row(borders), *map(_row, rows)]


def inserted(document: str, name: str, part: str) -> str:
    """Return `document` with `part` in the place that two comments hold for the subject `name`.

    Raises ValueError for a document without them.
    """
    begin, end = f"<!-- written by: benchmarks {name} -->\n", f"<!-- end: {name} -->\n"
    head, found_begin, rest = document.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the document lacks {begin if not found_begin else end}".strip())
    return f"{head}{begin}{part}{end}{tail}"


def _cells(figure: Figure) -> tuple[str, ...]:
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    return (
        figure.name,
        str(len(figure.samples)),
        number(figure.median),
        number(figure.p99),
        figure.unit,
        _target(figure),
        met,
    )


def _target(figure: Figure) -> str:
    targets = (("median", figure.median_at_most), ("p99", figure.p99_at_most))
    return ", ".join(
        f"{name} ≤ {number(at_most)}" for name, at_most in targets if at_most is not None
    )


def _notes(subject: Subject) -> list[str]:
    own = [f"{figure.name}: {figure.note}" for figure in subject.figures if figure.note]
    return [*subject.notes, *own]


def number(value: float) -> str:
    """Return about three significant digits, whole numbers in full, never an exponent."""
    if value == round(value) or abs(value) > 99.9:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits if abs(value) >= 0.1 else 4}f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
