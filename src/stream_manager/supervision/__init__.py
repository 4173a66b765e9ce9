"""asyncio around `recovery`: the one loop of the product. Standard library alone.

supervisor runs components. For calls: scope (what a call inherits), guarded (what can be guarded),
retry_budget, attempts, retry and bulkhead; listeners, breaker and breakers.
"""

from stream_manager.supervision.attempts import FailedAttempt, GaveUp
from stream_manager.supervision.breaker import CircuitBreaker
from stream_manager.supervision.breakers import BreakerRegistry
from stream_manager.supervision.bulkhead import Bulkhead
from stream_manager.supervision.retry import Retry, retry
from stream_manager.supervision.retry_budget import RetryBudget
from stream_manager.supervision.scope import deadline, remaining_s
from stream_manager.supervision.supervisor import Component, Journal, Supervisor

__all__ = [
    "BreakerRegistry",
    "Bulkhead",
    "CircuitBreaker",
    "Component",
    "FailedAttempt",
    "GaveUp",
    "Journal",
    "Retry",
    "RetryBudget",
    "Supervisor",
    "deadline",
    "remaining_s",
    "retry",
]
