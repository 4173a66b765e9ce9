"""How the process is told what to do by the handle that owns it: lines on stdin."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress

STDIN = 0
PIECE_BYTES = 4096


def read_stdin(take: Callable[[str], None], ended: Callable[[], None]) -> None:
    """Have each line of stdin taken on the running loop, and its end told.

    A thread reads it: a loop can't wait for every kind of file.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        held = b""
        with suppress(OSError, RuntimeError):  # it is not to be read, or the loop has ended
            while data := os.read(STDIN, PIECE_BYTES):
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(take, line.decode(errors="replace"))
            loop.call_soon_threadsafe(ended)

    threading.Thread(target=read, name="stdin", daemon=True).start()
