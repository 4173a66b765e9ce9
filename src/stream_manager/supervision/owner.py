"""`Owner`: the task that holds a supervisor's block, and how it is told that all is over."""

import asyncio


class Owner:
    """The current task. It is told by a cancellation, which it does not have to answer for.

    A task that others cancel too stays theirs: it is not told, and not called back.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._before = task.cancelling()
        self._told = False

    @property
    def is_cancelled(self) -> bool:
        """Tell whether anybody else has cancelled it since."""
        return self._task.cancelling() - self._told > self._before

    def tell(self) -> None:
        """Interrupt what it does, unless it is interrupted already."""
        if not self.is_cancelled:
            self._told = self._task.cancel()

    def release(self) -> None:
        """Take back what it was told: from here on an error says it."""
        if self._told:
            self._told = False
            self._task.uncancel()
