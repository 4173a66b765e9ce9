import os
from pathlib import Path

import pytest

from stream_manager.pipelines import names

LAST_MS_OF_JANUARY = 1769903999.123


def test_a_name_tells_stream_and_time_in_utc(tmp_path: Path) -> None:
    """The layout is DIRECTORY/STREAM/DAY/STREAM_TIME, readable by owner and group alone."""
    path, fd = names.create(tmp_path, "cam", LAST_MS_OF_JANUARY, "ts")
    os.close(fd)
    assert path == tmp_path / "cam/2026-01-31/cam_2026-01-31T23-59-59.123Z.ts"
    assert path.stat().st_mode & 0o7 == 0


def test_collisions_sort_after_and_overwrite_nothing(tmp_path: Path) -> None:
    """After a clock step every file is new, and the names keep their order of creation."""
    made = []
    for _ in range(30):
        path, fd = names.create(tmp_path, "cam", LAST_MS_OF_JANUARY, "mkv")
        os.close(fd)
        made.append(str(path))
    assert len(set(made)) == 30
    assert made == sorted(made)


def test_a_missing_root_is_not_made(tmp_path: Path) -> None:
    """A volume that was unmounted must not fill the disk below it."""
    with pytest.raises(FileNotFoundError):
        names.create(tmp_path / "gone", "cam", LAST_MS_OF_JANUARY, "ts")
    assert not (tmp_path / "gone").exists()
