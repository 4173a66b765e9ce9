"""Whatever stands in the file, it is either taken or refused in words: never a traceback."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.config import ConfigurationError, ConfigurationErrors, load

VALID = """\
[manager]
state_dir = "state"
listen = "127.0.0.1:8080"
[recovery]
backoff = { base = "1s", factor = 3, cap = "20s", jitter = "full" }
give_up_after = 7
stall_after = "auto"
[[volumes]]
id = "main"
path = "recordings"
[[streams]]
id = "front-door"
source = "rtsp://u:${PW}@[::1]:554/x?y=${file:secret}"
latency = "50ms"
record = { volumes = ["main"], segment = "10s", container = "mp4" }
depends_on = ["api:billing"]
[streams.budget]
restarts = 4
[[streams]]
id = "b"
pipeline = "videotestsrc name=${PW}"
"""
WORDS = [word for line in VALID.splitlines() for word in line.split()]
SNIPPETS = st.sampled_from(
    [
        *WORDS,
        *("", "[", "]]", "{", '"', "'''", "\n", "=", "[]", "[1]", "{}", "1979-05-27"),
        *("0", "-1", "1e999", "nan", "true", "9" * 5000),
        *("${", "${file:.}", '"\\u0000"', '"file:"', '"//@"'),
    ]
)


def _errors(text: str) -> tuple[ConfigurationError, ...]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "cameras.toml"
        file.write_text(text)
        (Path(directory) / "secret").write_text("s3cret")
        try:
            load(file, {"PW": "p@ss", "XDG_RUNTIME_DIR": directory})
        except ConfigurationErrors as wrong:
            return wrong.errors
    return ()


def _assert_taken_or_refused(text: str) -> None:
    errors = _errors(text)
    assert list(errors) == sorted(errors)
    for error in errors:
        assert 0 <= error.line <= text.count("\n") + 1
        assert error.found
        assert error.expected
        assert "p@ss" not in str(error)


def test_the_unchanged_file_is_taken(tmp_path: Path) -> None:
    """What is mutated below is valid, so that mutations reach every stage."""
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "cameras.toml").write_text(VALID)
    configuration = load(
        tmp_path / "cameras.toml", {"PW": "p@ss", "XDG_RUNTIME_DIR": str(tmp_path)}
    )
    assert len(configuration.streams) == 2


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), SNIPPETS), max_size=4
    )
)
def test_random_edits_are_taken_or_refused(changes: list[tuple[int, int, str]]) -> None:
    """Cuts and insertions anywhere in a valid file raise nothing but ConfigurationErrors."""
    text = VALID
    for at, cut, snippet in changes:
        text = text[:at] + snippet + text[at + cut :]
    _assert_taken_or_refused(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1s", "0s", "30", "never", "auto", "test:", "main", "b", "rtsp://u:p@h/"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)


def _toml(value: object) -> str:
    match value:
        case dict():
            inside = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
            return f"{{ {inside} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case None:
            return "1979-05-27T07:32:00Z"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


@given(
    values=st.dictionaries(
        st.sampled_from([line.split(" = ")[0] for line in VALID.splitlines() if " = " in line]),
        VALUES,
        max_size=4,
    )
)
def test_values_of_any_type_are_taken_or_refused(values: dict[str, object]) -> None:
    """Any key may hold any TOML value: integers without end, dates, tables in arrays."""
    lines = [
        f"{key} = {_toml(values[key])}" if (key := line.split(" = ")[0]) in values else line
        for line in VALID.splitlines()
    ]
    _assert_taken_or_refused("\n".join(lines))


@given(name=st.sampled_from(["manager", "recovery", "volumes", "streams"]), value=VALUES)
def test_tables_of_any_type_are_taken_or_refused(name: str, value: object) -> None:
    """The four tables themselves may be anything."""
    _assert_taken_or_refused(f"{name} = {_toml(value)}\n")


@pytest.mark.parametrize("size", [0, 1, 3])
def test_an_empty_file_is_a_configuration(size: int) -> None:
    """Nothing, or blank lines alone, is no error."""
    _assert_taken_or_refused("\n" * size)
