"""Who waits for a component to come to a phase."""

import asyncio
from dataclasses import dataclass

from stream_manager.errors import UsageError
from stream_manager.recovery import Phase, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    id: str
    phases: tuple[Phase, ...]
    came: asyncio.Future[Phase]


class Waits:
    """The waits of all components; told of every decision, so that no phase is missed."""

    def __init__(self) -> None:
        self._waits: list[_Wait] = []

    async def until(self, id_: str, phases: tuple[Phase, ...]) -> Phase:
        """Return the first of `phases` that the component comes to from now on.

        Raises UsageError when it is removed.
        """
        wait = _Wait(id=id_, phases=phases, came=asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            return await wait.came
        finally:
            self._waits.remove(wait)

    def tell(self, record: Record) -> None:
        """Say where a component stands now."""
        for wait in self._waits:
            if wait.id == record.spec.id and record.phase in wait.phases and not wait.came.done():
                wait.came.set_result(record.phase)

    def forget(self, id_: str) -> None:
        """Say that a component is no more."""
        for wait in self._waits:
            if wait.id == id_ and not wait.came.done():
                wait.came.set_exception(UsageError(f"component {id_!r} was removed"))
