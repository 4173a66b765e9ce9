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


def test_a_log_tells_which_worker_wrote_what(log: Path) -> None:
    """Each one's part begins with its head, and ends where the next begins."""
    for epoch in (7, 8):
        with output_to(log):
            logfile.head(epoch=epoch, at=0.0)
            os.write(2, f"words of {epoch}\n".encode())
    text = log.read_text()
    first, second = logfile.of_epoch(text, 7), logfile.of_epoch(text, 8)
    assert first.splitlines()[1:] == ["words of 7"]
    assert second.splitlines()[1:] == ["words of 8"]
    assert second.startswith(f"=== epoch 8, pid {os.getpid()}, 1970-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rotated\n=== epoch 8, pid 1, now\nlater", "rotated\n"),
        ("=== epoch 6, pid 1, now\nearlier", ""),
        ("no head at all", "no head at all"),
    ],
)
def test_what_a_worker_wrote_whose_head_is_missing(text: str, told: str) -> None:
    """Without its head it is what the next one's head ends; what is older is never its own."""
    assert logfile.of_epoch(text, 7) == told
