"""Logs of streams that are gone are forgotten in the end; all others stay."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream_manager.streams.logs import FORGOTTEN_AFTER, forget_logs

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def put(log_dir: Path, name: str, age: timedelta) -> None:
    """Write a log that was last written so long ago."""
    (log_dir / name).write_text("something happened\n")
    at_s = (NOW - age).timestamp()
    os.utime(log_dir / name, (at_s, at_s))


def test_only_old_logs_of_former_streams_go(tmp_path: Path) -> None:
    """A month after its last word a stream's log goes with its older half, if nobody runs it."""
    old, young = FORGOTTEN_AFTER + timedelta(hours=1), FORGOTTEN_AFTER - timedelta(hours=1)
    for name in ("gone.log", "gone.log.1", "cam.log", "cam.log.1", "forkserver.log", "note.txt"):
        put(tmp_path, name, old)
    put(tmp_path, "renamed.log", young)
    forget_logs(tmp_path, {"cam"}, NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("cam.log", "cam.log.1", "forkserver.log", "note.txt", "renamed.log"),
    ]


def test_a_directory_that_is_not_there_has_no_logs(tmp_path: Path) -> None:
    """The first start finds nothing to forget."""
    forget_logs(tmp_path / "logs", set(), NOW)
