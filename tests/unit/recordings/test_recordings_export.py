"""An export's last step: the file gets its name, or nothing of another's is touched."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream_manager.errors import OutsideError
from stream_manager.recordings.publishing import publish

Link = Callable[..., None]


def linkless(*_: object) -> None:
    """Refuse a hard link as FAT does."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(params=[os.link, linkless])
def _link(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", request.param)


@pytest.mark.usefixtures("_link")
def test_a_file_gets_its_name(tmp_path: Path) -> None:
    """With and without hard links; what fails later takes it back."""
    written, path = tmp_path / "out.ts.part", tmp_path / "out.ts"
    written.write_bytes(b"video")
    with ExitStack() as undo:
        publish(written, path, undo)
        assert (path.read_bytes(), written.exists()) == (b"video", False)
    assert not path.exists()


@pytest.mark.usefixtures("_link")
def test_a_file_that_appeared_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    """It is neither replaced nor removed, with and without hard links; the error names it."""
    written, path = tmp_path / "out.ts.part", tmp_path / "out.ts"
    written.write_bytes(b"video")
    path.write_bytes(b"mine")
    with (
        pytest.raises(OutsideError, match=r"out\.ts has appeared during the export"),
        ExitStack() as undo,
    ):
        publish(written, path, undo)
    assert path.read_bytes() == b"mine"
