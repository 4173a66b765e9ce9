"""`Timers`: the earliest of many instants that change all the time."""

import heapq
from collections.abc import Callable


class Timers:
    """A heap of instants; an entry counts only while `due_s_of` still gives it for its id."""

    def __init__(self, due_s_of: Callable[[str], float | None]) -> None:
        self._due_s_of = due_s_of
        self._heap: list[tuple[float, str]] = []

    def set(self, id_: str, due_s: float) -> None:
        """Add an instant; those before it of the same id count no more once it is the id's."""
        heapq.heappush(self._heap, (due_s, id_))

    def next_s(self) -> float | None:
        """Return the earliest instant, or None."""
        while self._heap:
            due_s, id_ = self._heap[0]
            if self._due_s_of(id_) == due_s:
                return due_s
            heapq.heappop(self._heap)
        return None

    def take(self) -> str:
        """Take the earliest out, which `next_s` has just told of; return whose it is."""
        return heapq.heappop(self._heap)[1]
