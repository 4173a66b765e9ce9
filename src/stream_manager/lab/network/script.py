"""Begins and ends faults at their times, as the lines say that are given to it."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from stream_manager.errors import UsageError
from stream_manager.lab.faults import Heal, Order, parse
from stream_manager.lab.network.faults import KINDS
from stream_manager.lab.network.record import Record


class Script:
    """The faults that are there and those still to come. Needs the running loop.

    change: is given all orders that are in force, whenever that has changed.
    """

    def __init__(self, record: Record, change: Callable[[Iterable[Order]], None]) -> None:
        self._record = record
        self._change = change
        self._present: dict[str, Order] = {}
        self._timers: dict[asyncio.TimerHandle, str] = {}

    def obey(self, line: str) -> None:
        """Do what a line says; raises UsageError, and then nothing has changed.

        A fault that is there already goes on with the new values and the new end.
        """
        order = parse(line, KINDS)
        if isinstance(order, Heal):
            self._heal(order.name)
        elif order.after_s:
            self._later(order.after_s, order, self._begin)
        else:
            self._begin(order)

    def _begin(self, order: Order) -> None:
        at = self._record.clock.wall()
        replaced = self._present.pop(order.name, None)
        self._present[order.name] = order
        self._change(self._present.values())
        if replaced is not None:
            self._tell(order.name, "ended", at)
        self._tell(order.name, "began", at, options=dict(order.options))
        if order.for_s is not None:
            self._later(order.for_s, order, self._end)

    def _end(self, order: Order) -> None:
        if self._present.get(order.name) is not order:
            return  # it was healed, or other values took its place
        at = self._record.clock.wall()
        del self._present[order.name]
        self._change(self._present.values())
        self._tell(order.name, "ended", at)

    def _heal(self, name: str | None) -> None:
        coming = [timer for timer, whose in self._timers.items() if name in (None, whose)]
        present = [order for order in self._present.values() if name in (None, order.name)]
        if name is not None and not coming and not present:
            raise UsageError(f"heal {name}: this fault is neither present nor to come")
        for timer in coming:
            timer.cancel()
            del self._timers[timer]
        for order in present:
            self._end(order)

    def _tell(self, name: str, phase: str, at: datetime, **details: object) -> None:
        self._record.tell("fault", {"name": name, "phase": phase, **details}, at=at)

    def _later(self, delay_s: float, order: Order, act: Callable[[Order], None]) -> None:
        def due() -> None:
            del self._timers[timer]
            act(order)

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers[timer] = order.name
