"""A process that SIGKILL does not end: held at its exit, as by a driver that does not answer."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SEIZE, _CONT, _TRACE_EXIT = 0x4206, 7, 0x40
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Let no kill end `pid` within the block; skip where tracing is not permitted.

    A traced process stops when it dies, and its first thread is not gone before we let go.
    """
    if _ptrace(_SEIZE, pid, _TRACE_EXIT) != 0:
        pytest.skip(f"tracing a process is not permitted: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)  # wakes it even from that stop
        _ptrace(_CONT, pid, 0)


def _ptrace(request: int, pid: int, data: int) -> int:
    return int(_libc.ptrace(request, pid, None, ctypes.c_void_p(data)))
