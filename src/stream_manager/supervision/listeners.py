"""Listeners to something that changes under a lock: told in order, without it, whatever they do."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from stream_manager.recovery.checks import require_functions

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Listeners(Generic[T]):
    """Collects facts in `put`, which may be called under any lock, and hands them on in `tell`.

    One thread tells at a time, so that the order is kept; what others bring meanwhile, and what
    a listener itself brings about, is told by it too. What a listener raises is logged.
    """

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._listeners: tuple[Callable[[T], None], ...] = ()
        self._untold: deque[T] = deque()
        self._telling = Lock()
        self.put = self._untold.append

    def add(self, listener: Callable[[T], None]) -> None:
        """Tell `listener` of all that comes from now on. Raises ValueError for no function."""
        require_functions(listener=listener)
        self._listeners += (listener,)

    def tell(self) -> None:
        """Hand on what was put, unless somebody is doing so."""
        # Looked at again after the release: what was put in between was left to us.
        while self._untold and self._telling.acquire(blocking=False):
            try:
                while self._untold:
                    fact = self._untold.popleft()
                    for listener in self._listeners:
                        self._tell_one(listener, fact)
            finally:
                self._telling.release()

    def _tell_one(self, listener: Callable[[T], None], fact: T) -> None:
        try:
            listener(fact)
        except Exception:
            logger.exception("%s: a listener failed", self._whose)
