"""asyncio around `recovery`: the one loop of the product. Standard library alone."""

from stream_manager.supervision.breaker import CircuitBreaker
from stream_manager.supervision.breakers import BreakerRegistry
from stream_manager.supervision.supervisor import Component, Journal, Supervisor

__all__ = ["BreakerRegistry", "CircuitBreaker", "Component", "Journal", "Supervisor"]
