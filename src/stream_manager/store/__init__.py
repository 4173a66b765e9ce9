"""What outlives the manager.

Read lock, rows, schema, journal, state, writer, opening, store; of recordings, segments, index,
queries.
"""

from stream_manager.store.index import SegmentIndex
from stream_manager.store.journal import Entry, read_journal, read_streams
from stream_manager.store.lock import AlreadyRunning, Lock, is_locked, lock_directory
from stream_manager.store.queries import (
    read_index,
    read_marks,
    read_recorded_streams,
    read_segments,
    read_volumes,
)
from stream_manager.store.schema import NewerSchema
from stream_manager.store.segments import Mark, Segment, SegmentState
from stream_manager.store.state import OutageRow, Totals, WorkerRow
from stream_manager.store.store import Store
from stream_manager.store.writer import StoreHealth

__all__ = [
    "AlreadyRunning",
    "Entry",
    "Lock",
    "Mark",
    "NewerSchema",
    "OutageRow",
    "Segment",
    "SegmentIndex",
    "SegmentState",
    "Store",
    "StoreHealth",
    "Totals",
    "WorkerRow",
    "is_locked",
    "lock_directory",
    "read_index",
    "read_journal",
    "read_marks",
    "read_recorded_streams",
    "read_segments",
    "read_streams",
    "read_volumes",
]
