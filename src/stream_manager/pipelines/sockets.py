"""Unix sockets: paths longer than the kernel's 107 bytes, peers of one user."""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid
_ROOT_UID = 0


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


def listen(
    path: str, *, backlog: int = 8, kind: socket.SocketKind = socket.SOCK_SEQPACKET
) -> socket.socket:
    """Return a listening socket at `path`, mode 0600; a stale file there is replaced.

    Raises OSError. The caller must be sure that nobody else serves this path.
    """
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
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


def connect(
    path: str,
    *,
    kind: socket.SocketKind = socket.SOCK_SEQPACKET,
    tells_senders: bool = False,
) -> socket.socket:
    """Return a socket connected to whoever listens at `path`; never waits for that.

    tells_senders: the kernel tells of each packet who sent it, from the first one on.
    Raises OSError; PermissionError when that is neither this process's user nor root: orders
    hold passwords.
    """
    connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, tells_senders)
        connection.setblocking(False)  # one that hangs may have others waiting before us
        with short_address(path) as address:
            connection.connect(address)
        connection.setblocking(True)
        if (uid := peer_uid(connection)) not in {os.geteuid(), _ROOT_UID}:
            raise PermissionError(errno.EPERM, f"uid {uid} listens here, not we nor root", path)
    except OSError:
        connection.close()
        raise
    return connection


def accept(listener: socket.socket, present: socket.socket | None) -> socket.socket | None:
    """Return the next connection to `listener`, None when it was refused and closed.

    Other users are refused, and everybody while `present`, the connection that is served so far,
    is open at its far end: who dies closes it, so the next one gets in. Raises OSError.
    """
    connection, _ = listener.accept()
    if peer_uid(connection) == os.geteuid() and (present is None or not is_open(present)):
        return connection
    connection.close()
    return None


def receive_with_sender(connection: socket.socket, size: int) -> tuple[bytes, int]:
    """Return one packet and the process that sent it, by the kernel's word; 0 where it says none.

    Raises OSError; for a packet of more than `size` bytes with EMSGSIZE.
    """
    room = socket.CMSG_SPACE(_CREDENTIALS.size)
    packet, beside, flags, _ = connection.recvmsg(size, room)
    if flags & socket.MSG_TRUNC:
        raise OSError(errno.EMSGSIZE, f"a packet of more than {size} bytes came")
    pid = 0
    for level, kind, told in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid, _, _ = _CREDENTIALS.unpack(told)
    return packet, pid


def is_open(connection: socket.socket) -> bool:
    """Return whether the far end is open, even if what it sent before is not read yet."""
    hang_up = select.poll()
    hang_up.register(connection, 0)  # hang-ups are told without being asked for
    return not hang_up.poll(0)


def peer_uid(connection: socket.socket) -> int:
    """Return the effective user of who connected, or, at that end, of who listened."""
    _, uid = _peer(connection)
    return uid


def peer_pid(connection: socket.socket) -> int:
    """Return the process of who connected, or, at that end, of who began to listen."""
    pid, _ = _peer(connection)
    return pid


def _peer(connection: socket.socket) -> tuple[int, int]:
    ucred = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(ucred)
    return pid, uid
