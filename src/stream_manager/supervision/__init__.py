"""asyncio around `recovery`: the one loop of the product. Standard library alone.

Read in this order: component (what is run), loop, supervisor (the loop for people), runner and life
(one component under it), components (ready ones, and the door for others), then what they use:
admission, owner, inbox, waits, ending, given, contained, journal, snapshots, status, outcome. For
calls: scope (what a call inherits), guarded (what can be guarded), retry_budget, attempts, retry
and bulkhead; listeners, breaker and breakers.
"""

from stream_manager.supervision.attempts import FailedAttempt, GaveUp
from stream_manager.supervision.breaker import CircuitBreaker
from stream_manager.supervision.breakers import BreakerRegistry
from stream_manager.supervision.bulkhead import Bulkhead
from stream_manager.supervision.component import (
    Component,
    Performer,
    Run,
    Snapshot,
    Snapshots,
)
from stream_manager.supervision.components import AsyncFunction, Subprocess, ThreadFunction
from stream_manager.supervision.journal import Journal, MemoryJournal
from stream_manager.supervision.retry import Retry, retry
from stream_manager.supervision.retry_budget import RetryBudget
from stream_manager.supervision.scope import deadline, remaining_s
from stream_manager.supervision.snapshots import MemorySnapshots
from stream_manager.supervision.status import Status
from stream_manager.supervision.supervisor import Supervisor

__all__ = [
    "AsyncFunction",
    "BreakerRegistry",
    "Bulkhead",
    "CircuitBreaker",
    "Component",
    "FailedAttempt",
    "GaveUp",
    "Journal",
    "MemoryJournal",
    "MemorySnapshots",
    "Performer",
    "Retry",
    "RetryBudget",
    "Run",
    "Snapshot",
    "Snapshots",
    "Status",
    "Subprocess",
    "Supervisor",
    "ThreadFunction",
    "deadline",
    "remaining_s",
    "retry",
]
