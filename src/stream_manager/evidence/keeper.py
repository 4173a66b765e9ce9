"""The thread that keeps evidence: whatever its disk does, nobody waits for it."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stream_manager.evidence.finding import Finding
from stream_manager.evidence.gathering import gather
from stream_manager.evidence.shelf import NAME, Shelf

WAITING_AT_MOST = 100
# When a site goes down hundreds of streams fail at once, and recovery needs the processor.
PAUSE_S = 0.05


class Keeper:
    """Takes findings and keeps them under `state_dir`; when too many wait the next ones are lost.

    log_dir: where the workers' logs lie. on_fault: told, from the thread, once that evidence can't
    be kept, and again after it could be.
    """

    def __init__(self, state_dir: Path, *, log_dir: Path, on_fault: Callable[[str], None]) -> None:
        self.log_dir = log_dir
        self._directory = state_dir / NAME
        self._on_fault = on_fault
        self._failing = False
        self._closing = threading.Event()
        self._findings: queue.Queue[Finding | None] = queue.Queue(WAITING_AT_MOST)
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)

    def keep(self, finding: Finding) -> None:
        """Take a finding; returns at once. Called by one thread."""
        if self._thread.ident is None:
            self._thread.start()
        with suppress(queue.Full):
            self._findings.put_nowait(finding)

    def close(self, at_most_s: float) -> None:
        """Keep what waits, at most so long."""
        if self._thread.ident is not None:
            self._closing.set()
            with suppress(queue.Full):
                self._findings.put_nowait(None)
            self._thread.join(at_most_s)

    def _run(self) -> None:
        shelf: Shelf | None = None
        while (finding := self._findings.get()) is not None:
            try:
                shelf = shelf or Shelf(self._directory)
                shelf.put(finding.kept, gather(finding))
                self._failing = False
            except Exception as error:  # noqa: BLE001 - the thread's root: evidence is worth no stream
                if not self._failing:
                    self._failing = True
                    self._on_fault(f"evidence of incidents can't be kept: {error!r}")
            self._closing.wait(PAUSE_S)
