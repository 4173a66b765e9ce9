"""How tests wait: for a condition, and never longer than is bearable."""

import time
from collections.abc import Callable

DEADLINE_S = 30.0
POLL_S = 0.01


def wait_for(condition: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Return once the condition holds; fail after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(POLL_S)
