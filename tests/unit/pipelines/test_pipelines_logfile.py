"""The log of a worker stays short, and survives a disk that takes nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_manager.pipelines import logfile


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a log, of which ten bytes are enough."""
    monkeypatch.setattr(logfile, "LIMIT_BYTES", 10)
    return tmp_path / "cam.log"


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Lead descriptors 1 and 2 to the log. No fixture: pytest moves them between its phases."""
    saved = [os.dup(1), os.dup(2)]
    logfile.become_output(logfile.open_log(str(log)))
    try:
        yield
    finally:
        for number, fd in enumerate(saved, start=1):
            os.dup2(fd, number)
            os.close(fd)


def test_a_long_log_is_put_aside(log: Path) -> None:
    """What was written is kept as the one before; what follows goes to a new file."""
    with output_to(log):
        os.write(2, b"a long sentence")
        logfile.keep_short(str(log))
        os.write(2, b"a word")
        logfile.keep_short(str(log))
    assert Path(f"{log}.1").read_text() == "a long sentence"
    assert log.read_text() == "a word"


def test_without_room_for_a_new_log_the_old_one_goes_on(log: Path) -> None:
    """A new file that can't be made leaves the old one in use, and the next call gets it right."""
    obstacle = Path(f"{log}.new")
    obstacle.mkdir()
    with output_to(log):
        os.write(2, b"a long sentence")
        with pytest.raises(IsADirectoryError):
            logfile.keep_short(str(log))
        os.write(2, b" goes on")
        obstacle.rmdir()
        logfile.keep_short(str(log))
    assert Path(f"{log}.1").read_text() == "a long sentence goes on"
    assert log.read_text() == ""


def test_a_log_put_aside_by_half_is_renewed_later(log: Path) -> None:
    """When the first rename worked and the second did not, the next call finishes both."""
    with output_to(log):
        os.write(2, b"a long sentence")
        log.rename(f"{log}.1")
        logfile.keep_short(str(log))
        os.write(2, b"a word")
    assert Path(f"{log}.1").read_text() == "a long sentence"
    assert log.read_text() == "a word"
