"""A thread for what may block as long as a disk does."""

import queue
import threading
from collections.abc import Callable


class DiskThread:
    """Runs jobs one after another. A daemon: a hung disk must not hold up the process's end."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], None]) -> None:
        """Queue a job, which must not raise; returns at once."""
        self._jobs.put(job)

    def end(self) -> None:
        """End the thread after the jobs that are queued; returns at once."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
