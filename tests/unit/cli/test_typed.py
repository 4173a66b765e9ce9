"""A command in a hint works when it is pasted."""

import sys
from pathlib import Path

import pytest

from stream_manager.cli.typed import command, pasteable, program


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be called by the path of a program that is not on PATH."""
    path = tmp_path / ".venv/bin/stream-manager"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setenv("PATH", "/nowhere")
    return path


def test_a_program_that_the_shell_finds_is_called_by_its_name(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PATH, also by a link, or called without a path."""
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program() == "stream-manager"
    monkeypatch.setenv("PATH", "/nowhere")
    for called in ("stream-manager", "-c", "/usr/bin/pytest"):
        monkeypatch.setattr(sys, "argv", [called])
        assert program() == "stream-manager"


def test_any_other_is_called_by_its_path(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative from the directory around it, absolute from elsewhere, quoted where needed."""
    monkeypatch.chdir(tmp_path)
    assert program() == ".venv/bin/stream-manager"
    assert command("journal", Path("a b.toml")) == (
        ".venv/bin/stream-manager journal --config 'a b.toml'"
    )
    monkeypatch.chdir("/")
    assert program() == str(installed).removeprefix("/")
    monkeypatch.chdir("/usr")
    assert program() == str(installed)


def test_a_program_beside_us_is_called_by_its_path_too(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell looks for a bare name on PATH alone."""
    monkeypatch.chdir(installed.parent)
    for called in ("./stream-manager", str(installed), "../bin/stream-manager"):
        monkeypatch.setattr(sys, "argv", [called])
        assert program() == "./stream-manager"
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program() == "stream-manager"


def test_a_directory_that_was_deleted_stops_no_hint(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From there only an absolute path leads to the program."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert program() == str(installed)
    monkeypatch.setattr(sys, "argv", ["./stream-manager"])
    assert program().endswith("stream-manager")
    monkeypatch.chdir("/")  # for what comes after


def test_no_hint_shows_the_password_of_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a user's nor one in the query."""
    monkeypatch.setattr(sys, "argv", ["stream-manager"])
    hint = command("start cam", None, "http://u:hunter2@h:1?token=hunter2")
    assert hint == "stream-manager start cam --url 'http://***@h:1?***'"
    assert command("start cam", None, "http://h:1") == "stream-manager start cam --url http://h:1"


def test_only_the_command_at_the_end_of_a_sentence_is_completed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a camera says is left alone."""
    monkeypatch.setattr(sys, "argv", ["stream-manager"])
    config = Path("c.toml")
    for hint in ("reset cam", "start cam", "reload", "shutdown"):
        sentence = f"Do that: stream-manager {hint}"
        assert pasteable(sentence, config) == f"{sentence} --config c.toml"
        assert pasteable(sentence, None, "http://h:1") == f"{sentence} --url http://h:1"
        assert pasteable(sentence, None) == sentence
    for said in ("stream-manager reset cam", "It said: stream-manager reset cam now", "x: reload"):
        assert pasteable(said, config) == said
