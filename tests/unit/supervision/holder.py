"""Threads that hold a place in a bulkhead."""

import threading
import time
from collections.abc import Callable

from stream_manager.errors import BulkheadFullError
from stream_manager.supervision import Bulkhead

PATIENT_S = 30.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    for _ in range(30_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it never came")


class Holder:
    """A thread that is in the bulkhead, or waits for it, until it is let go."""

    def __init__(self, bulkhead: Bulkhead, entered: list[int] | None = None, name: int = 0) -> None:
        self._bulkhead = bulkhead
        self._entered = entered if entered is not None else []
        self._name = name
        self._go = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Let it go, and wait for its end."""
        self._go.set()
        self._thread.join(PATIENT_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._bulkhead:
                self._entered.append(self._name)
                assert self._go.wait(PATIENT_S)
        except BulkheadFullError as error:
            self.error = error
