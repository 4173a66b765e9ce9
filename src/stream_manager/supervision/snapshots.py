"""Snapshots of whoever brings no store: kept as long as the process lives."""

import logging

from stream_manager.supervision.component import Snapshot

logger = logging.getLogger(__name__)


class MemorySnapshots:
    """The last snapshot of each component."""

    def __init__(self) -> None:
        self._kept: dict[str, Snapshot] = {}

    def load_snapshot(self, component: str, /) -> Snapshot | None:
        """Return the last one saved, or None."""
        return self._kept.get(component)

    def save_snapshot(self, component: str, payload: Snapshot, /) -> None:
        """Keep a copy of it in the place of the one before."""
        self._kept[component] = dict(payload)

    def set_aside_snapshot(self, component: str, reason: str, /) -> None:
        """Forget it, and say so."""
        kept = self._kept.pop(component, None)
        logger.warning("%s starts clean (%s); its snapshot was %r", component, reason, kept)
