"""The mark of a volume, where something else stands in its place."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_manager.recordings.marker import NAME, Marker, mend, read_marker, write_marker

ID = "9f0c6e1db2a84a57"


def symlink(path: Path, target: Path) -> None:
    """Lead to another's file."""
    path.symlink_to(target)


def hard_link(path: Path, target: Path) -> None:
    """Be another's file."""
    path.hardlink_to(target)


def fifo(path: Path, _target: Path) -> None:
    """Be a pipe that nobody reads or writes."""
    os.mkfifo(path)


def directory(path: Path, _target: Path) -> None:
    """Be no file at all."""
    path.mkdir()


def in_time(call: Callable[[], object]) -> None:
    """Run a call that may block for ever."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Make a file of somebody else's, which holds what would be a mark."""
    path = tmp_path / "target"
    path.write_text(f"{ID}\n")
    return path


@pytest.mark.parametrize(
    ("put", "lack"),
    [
        (symlink, "can't be read (ELOOP: Too many levels of symbolic links)"),
        (fifo, "is no file"),
        (directory, "is no file"),
    ],
)
def test_what_is_no_file_is_no_mark(
    tmp_path: Path, target: Path, put: Callable[[Path, Path], None], lack: str
) -> None:
    """It is neither waited for nor followed, and costs no descriptor however often it is read."""
    root = tmp_path / "volume"
    root.mkdir()
    put(root / NAME, target)
    before = len([*Path("/proc/self/fd").iterdir()])

    def read() -> None:
        found.extend(read_marker(root) for _ in range(20))

    found: list[Marker] = []
    in_time(read)
    assert found == [Marker(lack=lack)] * 20
    assert len([*Path("/proc/self/fd").iterdir()]) == before


@pytest.mark.parametrize("put", [symlink, hard_link, fifo])
@pytest.mark.parametrize("name", [NAME, f"{NAME}.part"])
def test_what_stands_in_the_place_of_the_mark_is_replaced(
    tmp_path: Path, target: Path, put: Callable[[Path, Path], None], name: str
) -> None:
    """Whether it has the name or that of the file on its way; another's file is not written."""
    root = tmp_path / "volume"
    root.mkdir()
    put(root / name, target)
    in_time(lambda: write_marker(root, "0123456789abcdef"))
    assert read_marker(root) == Marker(id="0123456789abcdef")
    assert [it.name for it in root.iterdir()] == [NAME]
    assert target.read_text() == f"{ID}\n"


@pytest.mark.parametrize("name", [NAME, f"{NAME}.part"])
def test_a_directory_is_not_replaced(tmp_path: Path, target: Path, name: str) -> None:
    """What is in it is somebody's: it is an error, and nothing else is left."""
    directory(tmp_path / name, target)
    with pytest.raises(OSError, match=r"directory|not permitted"):
        write_marker(tmp_path, ID)
    assert {it.name for it in tmp_path.iterdir()} == {name, "target"}


def test_a_mark_that_cannot_be_read_is_told_from_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with errors or without the rights is not one without its mark."""

    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    assert read_marker(tmp_path) == Marker(lack="is not there")
    monkeypatch.setattr(os, "open", denied)
    assert read_marker(tmp_path) == Marker(lack="can't be read (EACCES: Permission denied)")


def test_the_mend_is_done_as_the_user_of_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose name may be unknown here; what can't be written over is removed first."""
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_001)
    root = Path("/mnt/my video")
    write = f"echo {ID} | sudo -u '#4000001' tee '/mnt/my video/{NAME}'"
    assert mend(root, ID, Marker(lack="is not there")) == write
    remove = f"sudo -u '#4000001' rm -rf '/mnt/my video/{NAME}'"
    assert mend(root, ID, Marker(lack="holds no id")) == f"{remove} && {write}"
