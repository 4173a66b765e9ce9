"""Who waits for the loop: for a component to come to a phase, or for any other answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from stream_manager.errors import StreamManagerError, UsageError
from stream_manager.recovery import Phase, Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Wait:
    """unwanted: there is nothing to wait for once the component is wanted again."""

    id: str
    phases: tuple[Phase, ...]
    unwanted: bool
    came: asyncio.Future[Phase]

    def tell(self, record: Record) -> None:
        """Say where the component stands."""
        if self.came.done():
            return
        if record.phase in self.phases:
            self.came.set_result(record.phase)
        elif self.unwanted and record.wanted:
            self.came.set_exception(
                UsageError(f"component {self.id!r} was started again before it had stopped")
            )


class Waits:
    """All who wait; told of every decision, so that no phase is missed, and of the loop's end."""

    def __init__(self) -> None:
        self._waits: dict[str, dict[_Wait, None]] = {}  # by component
        self._asked: set[asyncio.Future[Any]] = set()
        self._over: Callable[[], StreamManagerError] | None = None

    async def answer(self, asked: asyncio.Future[T]) -> T:
        """Return what the loop brings about; raise when it ends before."""
        if self._over is not None and not asked.done():
            asked.cancel()
            raise self._over()
        self._asked.add(asked)
        try:
            return await asked
        finally:
            self._asked.discard(asked)

    def end(self, over: Callable[[], StreamManagerError]) -> None:
        """Say that the loop has ended; `over` makes the error that tells it."""
        self._over = over
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(over())

    def until(
        self, record: Record, phases: tuple[Phase, ...], *, unwanted: bool = False
    ) -> asyncio.Future[Phase]:
        """Return what will be the first of `phases` that the component is in, or comes to.

        It fails with UsageError when the component is removed, or with `unwanted` started again.
        """
        came: asyncio.Future[Phase] = asyncio.get_running_loop().create_future()
        wait = _Wait(id=record.spec.id, phases=phases, unwanted=unwanted, came=came)
        wait.tell(record)
        if not came.done():
            self._waits.setdefault(wait.id, {})[wait] = None
            came.add_done_callback(lambda _: self._drop(wait))
        return came

    def tell(self, record: Record) -> None:
        """Say where a component stands now."""
        for wait in self._waits.get(record.spec.id, ()):
            wait.tell(record)

    def forget(self, id_: str) -> None:
        """Say that a component is no more."""
        for wait in self._waits.get(id_, ()):
            if not wait.came.done():
                wait.came.set_exception(UsageError(f"component {id_!r} was removed"))

    def _drop(self, wait: _Wait) -> None:
        del self._waits[wait.id][wait]
        if not self._waits[wait.id]:
            del self._waits[wait.id]
