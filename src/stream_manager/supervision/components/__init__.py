"""Components for what most people run: an asyncio function, a subprocess, a thread."""

from stream_manager.supervision.components.function import AsyncFunction
from stream_manager.supervision.components.process import Subprocess
from stream_manager.supervision.components.thread import ThreadFunction

__all__ = ["AsyncFunction", "Subprocess", "ThreadFunction"]
