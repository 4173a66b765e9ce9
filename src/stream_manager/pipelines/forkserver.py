"""A process that forks workers: GStreamer initialised, its usual plugins loaded, nothing running.

A worker shares all of that memory until it writes to it, and starts at once. The server has one
thread, knows nothing of streams, and outlives the manager as long as it has children, so that
their exit statuses are not lost: the next manager takes it over.
"""

import argparse
import errno
import gc
import os
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from contextlib import suppress
from typing import NoReturn

import msgspec

from stream_manager.pipelines import logfile, sockets, worker
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    UNREADABLE,
    Exited,
    FromForkServer,
    Serving,
    Spawn,
    Spawned,
    SpawnFailed,
    encode,
)
from stream_manager.pipelines.scrubbing import scrub

# What recording cameras takes. (Not timeoverlay: its fonts are looked up by a thread.)
USUAL_ELEMENTS = (
    *("rtspsrc", "rtpbin", "rtpjitterbuffer", "rtpsession", "rtpptdemux", "rtpssrcdemux", "udpsrc"),
    *("rtph264depay", "rtph265depay", "rtpmp4gdepay", "h264parse", "h265parse", "aacparse"),
    *("tee", "queue", "capsfilter", "identity", "proxysink", "proxysrc"),
    *("mpegtsmux", "matroskamux", "fdsink"),
)
KEPT_EXITS = 1000
FIRST_MANAGER_WITHIN_S = 60.0
SEND_WITHIN_S = 2.0  # a manager that reads nothing for this long has lost its connection

_decode = msgspec.msgpack.Decoder(Spawn).decode


class ForkServer:
    """Serves one manager; another is refused until that one has closed its connection."""

    def __init__(self, listener: socket.socket, *, name: str, log_path: str | None) -> None:
        """Serve on `listener`, which stays the caller's to close; keep the log there short.

        name: what a manager knows by whether this one forks what it would fork itself.
        """
        self._listener = listener
        self._name = name
        self._log_path = log_path
        self._manager: socket.socket | None = None
        self._met_a_manager = False
        self._children: dict[int, Spawn] = {}
        self._exits: deque[Exited] = deque(maxlen=KEPT_EXITS)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Return on SIGTERM, or when the manager is gone and no child is left."""
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # only so that the wakeup descriptor is written
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the manager's
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while self._manager or self._children or not self._met_a_manager:
            ready = self._selector.select(None if self._met_a_manager else FIRST_MANAGER_WITHIN_S)
            if not ready:
                return
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._welcome()
                elif key.fileobj is self._wake_read:
                    if signal.SIGTERM in self._wake_read.recv(4096):
                        return
                    self._reap()
                elif key.fileobj is self._manager:
                    self._hear(self._manager)
            if self._log_path:
                with suppress(OSError):  # a full disk: the old log is still there to write to
                    logfile.keep_short(self._log_path)

    def _welcome(self) -> None:
        connection = sockets.accept(self._listener, self._manager)
        if connection is None:
            return
        self._part()
        connection.settimeout(SEND_WITHIN_S)
        self._manager = connection
        self._met_a_manager = True
        self._selector.register(connection, selectors.EVENT_READ)
        self._send(Serving(name=self._name))
        self._deliver_exits()

    def _part(self) -> None:
        if self._manager:
            self._selector.unregister(self._manager)
            self._manager.close()
            self._manager = None

    def _hear(self, manager: socket.socket) -> None:
        try:
            packet = manager.recv(MAX_PACKET_BYTES)
            order = _decode(packet) if packet else None
        except (OSError, *UNREADABLE):
            traceback.print_exc()
            order = None
        if order is None:
            self._part()
            return
        try:
            self._spawn(order)
        except OSError as error:
            text = f"no worker for {order.stream}: {error}"
            self._send(
                SpawnFailed(
                    stream=order.stream,
                    epoch=order.epoch,
                    code=errno.errorcode.get(error.errno or 0, "EIO"),
                    text=scrub(text, order.secrets),
                )
            )

    def _spawn(self, order: Spawn) -> None:
        """Fork a worker. All that can fail is done before the fork; raises OSError."""
        log_fd = logfile.open_log(order.log_path)
        try:
            with sockets.listen(order.socket_path) as listener:
                sys.stdout.flush()
                sys.stderr.flush()
                pid = os.fork()
                if pid == 0:
                    self._become(order, listener, log_fd)
        finally:
            os.close(log_fd)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._children[pid] = order
        try:
            self._send(Spawned(stream=order.stream, epoch=order.epoch, pid=pid), pidfd)
        finally:
            os.close(pidfd)

    def _become(self, order: Spawn, listener: socket.socket, log_fd: int) -> NoReturn:
        """Turn this freshly forked child into a worker; nothing of the server stays open."""
        status = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # The selector is closed first: unregistering here would unregister for the server.
            for inherited in (self._selector, self._listener, self._wake_read, self._wake_write):
                inherited.close()
            if self._manager:
                self._manager.close()
            null_fd = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null_fd, 0)
            os.close(null_fd)
            logfile.become_output(log_fd)
            gc.enable()
            status = worker.run(order, listener)
        except BaseException:  # noqa: BLE001 - a process root: record it, and end
            traceback.print_exc()
        finally:
            with suppress(OSError):
                sys.stderr.flush()
            os._exit(status)  # the server's own exit path is not the worker's

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            order = self._children.pop(pid)
            self._exits.append(
                Exited(stream=order.stream, epoch=order.epoch, pid=pid, status=status)
            )
        self._deliver_exits()

    def _deliver_exits(self) -> None:
        while self._exits and self._send(self._exits[0]):
            self._exits.popleft()

    def _send(self, message: FromForkServer, *fds: int) -> bool:
        """Return whether the manager has the message; without one it is not sent."""
        if self._manager is None:
            return False
        try:
            socket.send_fds(self._manager, [encode(message)], fds)
        except OSError:  # closed, or deaf for SEND_WITHIN_S: the next one is told what matters
            traceback.print_exc()
            self._part()
            return False
        return True


def warm_up() -> None:
    """Do once what every worker would do again: 10 ms and 2.5 MB less for each (measured).

    The registry is made by a child, for making it starts threads and processes; reading it does
    not, nor does loading plugins. Nothing here may start a thread: a fork would lose it.
    """
    pid = os.fork()
    if pid == 0:
        Gst.init(None)
        os._exit(0)
    os.waitpid(pid, 0)
    os.environ["GST_REGISTRY_UPDATE"] = "no"
    Gst.init(None)
    for name in USUAL_ELEMENTS:
        Gst.ElementFactory.make(name)  # None where it is missing: the source will say so


def main() -> None:
    """Serve at --socket until the manager is gone and the last child has ended."""
    parser = argparse.ArgumentParser(prog="stream_manager.pipelines.forkserver")
    parser.add_argument("--socket", required=True, help="where the manager connects")
    parser.add_argument("--name", required=True, help="what it is known by")
    parser.add_argument("--registry", required=True, help="GStreamer's plugin cache")
    parser.add_argument("--log", help="file for stdout and stderr")
    options = parser.parse_args()
    with suppress(PermissionError):  # already a leader: whoever started us gave us a session
        os.setsid()
    if options.log:
        logfile.become_output(logfile.open_log(options.log))
    os.environ["GST_REGISTRY"] = options.registry
    warm_up()
    gc.disable()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page of ours
    with sockets.listen(options.socket, backlog=64) as listener:
        ForkServer(listener, name=options.name, log_path=options.log).serve()
        # The socket's file stays: a later server may serve there by now.


if __name__ == "__main__":
    main()
