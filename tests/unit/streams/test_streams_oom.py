"""Whether a SIGKILL was the kernel's, by its own count."""

from pathlib import Path

from stream_manager.streams.oom import LATELY_S, OutOfMemoryWatch
from stream_manager.testing import FakeClock


def test_a_rise_just_before_speaks_for_the_kernel(tmp_path: Path) -> None:
    """For some seconds after the count rose, and not before or later."""
    clock, vmstat = FakeClock(), tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 5\noom_kill 3\nother 1\n")
    watch = OutOfMemoryWatch(clock, vmstat)
    assert not watch.killed_lately()
    vmstat.write_text("nr_free_pages 5\noom_kill 4\nother 1\n")
    assert watch.killed_lately()
    clock.now_s += LATELY_S + 1
    assert not watch.killed_lately()


def test_a_kernel_that_does_not_count_is_no_witness(tmp_path: Path) -> None:
    """A file that is missing, or lacks the line, or holds something else, says nothing."""
    clock, vmstat = FakeClock(), tmp_path / "vmstat"
    watch = OutOfMemoryWatch(clock, vmstat)
    for text in ("nr_free_pages 5\n", "oom_kill many\n", "oom_kill 7\n"):
        vmstat.write_text(text)
        assert not watch.killed_lately()
