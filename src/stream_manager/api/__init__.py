"""The HTTP API. Read service (what stands behind it), models, app, then guard, sockets, serve.

app and serve are imported by their own names, by who needs them: FastAPI takes a third of a
manager's start, and streams come first.
"""

from stream_manager.api.service import Service, Verb
from stream_manager.api.sockets import CannotListen, tcp_socket, unix_socket

__all__ = [
    "CannotListen",
    "Service",
    "Verb",
    "tcp_socket",
    "unix_socket",
]
