"""What outlives the manager. Read lock, rows, schema, journal, state, writer, then store."""

from stream_manager.store.journal import Entry, read_journal, read_streams
from stream_manager.store.lock import AlreadyRunning, Lock, is_locked, lock_directory
from stream_manager.store.schema import NewerSchema
from stream_manager.store.state import OutageRow, Totals, WorkerRow
from stream_manager.store.store import Store
from stream_manager.store.writer import StoreHealth

__all__ = [
    "AlreadyRunning",
    "Entry",
    "Lock",
    "NewerSchema",
    "OutageRow",
    "Store",
    "StoreHealth",
    "Totals",
    "WorkerRow",
    "is_locked",
    "lock_directory",
    "read_journal",
    "read_streams",
]
