"""The HTTP API. Read service (what stands behind it), models, app, then guard, sockets, serve."""

from stream_manager.api.app import create_app
from stream_manager.api.serve import serve
from stream_manager.api.service import Service, Verb
from stream_manager.api.sockets import CannotListen, tcp_socket, unix_socket

__all__ = [
    "CannotListen",
    "Service",
    "Verb",
    "create_app",
    "serve",
    "tcp_socket",
    "unix_socket",
]
