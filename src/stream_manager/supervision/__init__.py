"""asyncio around `recovery`: the one loop of the product. Standard library alone.

Read in this order: component (what is run), supervisor (the loop), runner and life (one component
under it), components (ready ones), then what they use: inbox, waits, ending, journal, snapshots,
status, outcome.
"""

from stream_manager.supervision.component import (
    Component,
    Performer,
    Run,
    Snapshot,
    Snapshots,
)
from stream_manager.supervision.components import AsyncFunction, Subprocess, ThreadFunction
from stream_manager.supervision.journal import Journal, MemoryJournal
from stream_manager.supervision.snapshots import MemorySnapshots
from stream_manager.supervision.status import Status
from stream_manager.supervision.supervisor import Supervisor

__all__ = [
    "AsyncFunction",
    "Component",
    "Journal",
    "MemoryJournal",
    "MemorySnapshots",
    "Performer",
    "Run",
    "Snapshot",
    "Snapshots",
    "Status",
    "Subprocess",
    "Supervisor",
    "ThreadFunction",
]
