"""Where the API listens: always a Unix socket in the runtime directory, TCP when asked for."""

import os
import socket
from contextlib import suppress

from stream_manager.errors import OutsideError
from stream_manager.pipelines.sockets import short_address
from stream_manager.store import Lock

NAME = "api.sock"
BACKLOG = 64  # clients wait here from the moment of binding, before the first answer is possible


class CannotListen(OutsideError):  # noqa: N818 - the name says what is so, as the caller shows it
    """The TCP address of the API can't be had; the streams could do without."""


def unix_socket(runtime: Lock) -> socket.socket:
    """Listen at `api.sock` (0600) in the directory that is ours by `runtime`; its path may be long.

    A socket that is there already belongs to a manager that is gone, and is replaced. Raises
    OutsideError.
    """
    path = runtime.directory / NAME
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the file the socket's own mode
        with suppress(FileNotFoundError):
            path.unlink()
        with short_address(str(path)) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OutsideError(f"the API can't listen at {path}: {error.strerror}") from error
    return listener


def tcp_socket(host: str, port: int) -> socket.socket:
    """Listen at a loopback address; raises CannotListen, as when it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(f"the API can't listen at {host}:{port}: {error.strerror}") from error
    return listener
