"""The lock of a directory, seen from outside."""

from pathlib import Path

from stream_manager.store import is_locked, lock_directory


def test_a_lock_can_be_looked_at_without_taking_it(tmp_path: Path) -> None:
    """Who waits for a manager's end asks for its lock, and is told no before there ever was one."""
    assert not is_locked(tmp_path)
    lock = lock_directory(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
