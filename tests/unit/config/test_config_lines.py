"""The line finder knows the line of every key of any TOML document."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.config.lines import KeyPath, TomlSyntaxError, parse

DOCUMENT = '''\
# a comment
top = 1

[manager]      # line 4
listen = ""
a.b = { c = 1, d = [
  { e = 2 },   # one statement: all of it has its first line
] }

[[streams]]
text = """
[not.a.header]
x = 1
"""
[streams.backoff]
cap = "1s"

[[streams]]
[[streams.inner]]
[[streams.inner]]
"quoted key" = [[1], [2]]
[deep.down]
'''


def test_every_kind_of_statement_has_its_line() -> None:
    """Headers, dotted keys, inline tables, arrays of tables and long strings are all placed."""
    _, lines = parse(DOCUMENT)
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("manager",): 4,
        ("manager", "listen"): 5,
        ("manager", "a", "b", "c"): 6,
        ("manager", "a", "b", "d", 0, "e"): 6,
        ("streams",): 10,
        ("streams", 0): 10,
        ("streams", 0, "text"): 11,
        ("streams", 0, "backoff"): 15,
        ("streams", 0, "backoff", "cap"): 16,
        ("streams", 1): 18,
        ("streams", 1, "inner", 0): 19,
        ("streams", 1, "inner", 1): 20,
        ("streams", 1, "inner", 1, "quoted key", 1, 0): 21,
        ("deep",): 22,
        ("deep", "down"): 22,
    }
    assert {path: lines.of(path) for path in expected} == expected


def test_a_missing_key_has_the_line_of_the_table_around_it() -> None:
    """What is not in the file is reported at the nearest thing that is."""
    _, lines = parse(DOCUMENT)
    assert lines.of(("streams", 1, "source")) == 18
    assert lines.of(("nowhere", "at", "all")) == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = = 2\n", 2),
        ("a = 1\n\nb = [1,\n2,\n\n", 3),
        ('a = 1\nb = """never\nclosed\n', 2),
        ("a = 1\na = 2\n", 2),
        ("[a]\n[b]\n[a]\n", 3),
        ("a = 1\r\nb = \r\n", 2),
        ("x = " + "9" * 5000, 0),
        ("x = " + "[" * 100_000, 0),
    ],
)
def test_a_syntax_error_names_its_line(text: str, line: int) -> None:
    """Broken text is reported where it breaks, or where what is never closed begins."""
    with pytest.raises(TomlSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line


KEYS = st.sampled_from(["a", "b", "c-1", '"x y"', "'é.'"])
SCALARS = st.sampled_from(
    ["1", "true", '"#"', "'''\nx = 1\n[a]\n'''", '"""\\\n  y"""', "1979-05-27", "nan", "[]", "{}"]
)
VALUES = SCALARS | st.sampled_from(
    ["[\n1, # ]\n2,\n]", "{ p = 1, q.r = 2 }", '[{ p = "]" },\n{ p = 2 }]', "[[1], [\n2]]"]
)
ASSIGNMENTS = st.builds("{} = {}{}".format, KEYS, VALUES, st.sampled_from(["", "  # note"]))
HEADERS = st.builds("[{}]".format, KEYS) | st.builds("[[{}]]".format, KEYS)
DEEP_HEADERS = st.builds("[{}.{}]".format, KEYS, KEYS) | st.builds("[[{}.{}]]".format, KEYS, KEYS)
OTHERS = st.sampled_from(["", "# [comment]", "   "])


def _paths(value: object, at: KeyPath = ()) -> Iterator[KeyPath]:
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for name, item in inside:
        yield (*at, name)
        yield from _paths(item, (*at, name))


@given(
    statements=st.lists(ASSIGNMENTS | HEADERS | DEEP_HEADERS | OTHERS, max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_every_key_of_any_document_has_a_line_of_its_own_statement(
    statements: list[str], newline: str
) -> None:
    """Exactly the document's keys are placed, each on the first line of a statement."""
    valid: list[str] = []
    for statement in statements:  # leave out what contradicts an earlier statement
        try:
            tomllib.loads("\n".join([*valid, statement]))
        except tomllib.TOMLDecodeError:
            continue
        valid.append(statement)
    text = "\n".join(valid)
    starts = {1 + "\n".join([*valid[:n], ""]).count("\n") for n in range(len(valid))}

    document, lines = parse(text.replace("\n", newline))

    assert document == tomllib.loads(text) or "nan" in text
    assert set(lines) == set(_paths(document))
    assert {lines.of(path) for path in lines} <= starts
    for path in lines:
        assert lines.of(path[:-1]) <= lines.of(path)
