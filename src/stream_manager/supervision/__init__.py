"""asyncio around `recovery`: the one loop of the product. Standard library alone."""

from stream_manager.supervision.supervisor import Component, Journal, Supervisor

__all__ = ["Component", "Journal", "Supervisor"]
