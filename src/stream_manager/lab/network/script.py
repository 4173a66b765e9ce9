"""Begins and ends faults at their times, as the lines say that are given to it."""

import asyncio
from collections.abc import Callable, Iterable

from stream_manager.clock import Clock
from stream_manager.lab.agenda import Agenda, Begin
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.network.faults import NETWORK_FAULTS
from stream_manager.lab.record import FaultFact, Phase


class Script:
    """The faults that are on and those still to come. Needs the running loop.

    change: is given all that are on, whenever that has changed.
    """

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[FaultFact], None],
        change: Callable[[Iterable[Order]], None],
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._change = change
        self._agenda = Agenda()
        self._timer: asyncio.TimerHandle | None = None

    def obey(self, line: str) -> None:
        """Do what a line says; raises UsageError, and then nothing has changed."""
        self._agenda.take(parse(line, NETWORK_FAULTS), self._clock.monotonic_s())
        self._advance()

    def _advance(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at, now_s = self._clock.wall(), self._clock.monotonic_s()
        if steps := self._agenda.due(now_s):
            self._change(self._agenda.on)
        for step in steps:
            phase = Phase.BEGAN if isinstance(step, Begin) else Phase.ENDED
            self._tell(FaultFact(at=at, name=step.order.name, phase=phase))
        if (next_s := self._agenda.next_at_s()) is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(next_s - now_s, self._advance)
