"""Sizes mean what people read in them, and limits that contradict each other are refused."""

from pathlib import Path

import pytest

from stream_manager.config import ConfigurationErrors, Limits, load
from stream_manager.config.sizes import size_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [("512KiB", MIB // 2), ("200MiB", 200 * MIB), ("1.5GiB", 1536 * MIB), ("2TiB", 2**41)],
)
def test_each_unit_has_its_size(text: str, size: int) -> None:
    """The binary ones, as memory is measured."""
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "200", "MiB", "-1MiB", "1 MiB", "200MB", "1e3MiB", "٣MiB"])
def test_anything_else_is_refused(text: str) -> None:
    """A missing or decimal unit, a sign, a space and foreign digits are no sizes."""
    with pytest.raises(ValueError, match="a size with a unit"):
        size_bytes(text)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"memory_bytes": 0}, "memory_bytes is 0"),
        ({"restart_above_bytes": -1}, "restart_above_bytes is -1"),
        ({"memory_bytes": 9, "restart_above_bytes": 9}, "expected less than memory_bytes"),
    ],
)
def test_limits_that_can_not_be_are_refused(limits: dict[str, int], words: str) -> None:
    """The field and its value are named."""
    with pytest.raises(ValueError, match=words):
        Limits(**limits)


def configured(tmp_path: Path, general: str, own: str) -> Limits:
    """Return the limits of a stream with these two tables."""
    file = tmp_path / "cameras.toml"
    file.write_text(f"[recovery]\n{general}\n[[streams]]\nid = 'a'\nsource = 'test:'\n{own}\n")
    (stream,) = load(file, {}).streams
    return stream.limits


def test_a_stream_has_the_general_limits_but_for_its_own(tmp_path: Path) -> None:
    """Each key by itself; a changed limit makes another stream of it."""
    general = 'limits = { memory = "200MiB", restart_above = "150MiB" }'
    assert configured(tmp_path, "", "") == Limits()
    assert configured(tmp_path, general, "") == Limits(
        memory_bytes=200 * MIB, restart_above_bytes=150 * MIB
    )
    assert configured(tmp_path, general, 'limits = { memory = "1GiB" }') == Limits(
        memory_bytes=1024 * MIB, restart_above_bytes=150 * MIB
    )


@pytest.mark.parametrize(
    ("general", "own", "told"),
    [
        (
            'limits = { memory = "200MiB", restart_above = "200MiB" }',
            "",
            ":2: recovery.limits.restart_above: found restart_above of 200MiB, memory of 200MiB,",
        ),
        (
            'limits = { restart_above = "200MiB" }',
            'limits = { memory = "128MiB" }',
            ":6: streams.a.limits.memory: found restart_above of 200MiB, memory of 128MiB,",
        ),
        ("", 'limits = { memory = "2MiB" }', "expected a size from 64MiB to 1TiB"),
        ("", "limits = { memory = 200 }", "expected a size with a unit"),
    ],
)
def test_wrong_limits_are_one_error_with_their_place(
    tmp_path: Path, general: str, own: str, told: str
) -> None:
    """A general mistake is told once, not again for every stream."""
    with pytest.raises(ConfigurationErrors) as caught:
        configured(tmp_path, general, own)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
