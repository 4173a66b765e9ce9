"""Unix SOCK_SEQPACKET sockets whose paths may be longer than the kernel's 107 bytes."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def short_address(path: str) -> Iterator[str]:
    """Yield an address for `path` that fits in a sockaddr: its directory as an open descriptor.

    Only the file's name counts towards the 107 bytes then. Raises OSError when the directory
    can't be opened.
    """
    where = Path(path)
    directory_fd = os.open(where.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory_fd}/{where.name}"
    finally:
        os.close(directory_fd)


def listen(path: str, *, backlog: int = 8) -> socket.socket:
    """Return a listening socket at `path`, mode 0600; a stale file there is replaced.

    Raises OSError. The caller must be sure that nobody else serves this path.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - Path.unlink adds nothing to a string
        umask = os.umask(0o177)  # from the first moment on nobody else can connect
        try:
            with short_address(path) as address:
                listener.bind(address)
        finally:
            os.umask(umask)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: str) -> socket.socket:
    """Return a socket connected to whoever listens at `path`; raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        with short_address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
