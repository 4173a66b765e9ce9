"""What other threads ask of the one that owns a camera, which does it in turn."""

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from stream_manager.errors import OutsideError, StreamManagerError

Result = TypeVar("Result")


class Errands:
    """A queue of calls, each answered by a Future; its descriptor is readable when one waits.

    `ask` and `ask_to_end` are for any thread, the rest is for the owner.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._asking = threading.Lock()
        self._over = False  # changed only while nobody asks
        self._woken, self._waker = os.pipe()

    def fileno(self) -> int:
        """Return what to poll for reading."""
        return self._woken

    def ask(self, do: Callable[[], Result]) -> Future[Result]:
        """Let the owner do something. Raises OutsideError when that has ended."""
        asked: Future[Result] = Future()
        with self._asking:
            if self._over:
                raise stopped()
            self._calls.put((asked, do))
            os.write(self._waker, b"\0")
        return asked

    def ask_to_end(self) -> None:
        """Let the owner end after what was asked before."""
        self._calls.put(None)
        os.write(self._waker, b"\0")

    def wake(self) -> None:
        """Take note of a readable descriptor."""
        os.read(self._woken, 1024)

    def answer(self) -> bool:
        """Do all that is asked; False: the rest is not to be done, for the end was asked for."""
        while not self._calls.empty():
            call = self._calls.get()
            if call is None:
                return False
            _answer(*call)
        return True

    def refuse(self) -> None:
        """Let nobody wait for what will not be done, now and from here on."""
        with self._asking:
            self._over = True
        while not self._calls.empty():
            if (call := self._calls.get()) is not None:
                call[0].set_exception(stopped())

    def close(self) -> None:
        """Give the descriptors back; nobody asks any more."""
        for descriptor in (self._woken, self._waker):
            os.close(descriptor)


def stopped() -> OutsideError:
    """Return what is told to whoever asks too late."""
    return OutsideError("the camera was stopped")


def _answer(asked: Future[Result], do: Callable[[], Result]) -> None:
    try:
        asked.set_result(do())
    except StreamManagerError as error:
        asked.set_exception(error)
    except BaseException:
        asked.set_exception(stopped())
        raise
