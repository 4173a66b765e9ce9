"""How tests wait: for a condition, and never longer than is bearable."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_S = 30.0
POLL_S = 0.01


def wait_for(condition: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Return once the condition holds; fail after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(POLL_S)


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Let no other test use what a file stands for, such as a fixed port, during the block."""
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
