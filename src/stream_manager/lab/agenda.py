"""Which faults are on, which are to come, and when each begins and ends. Pure: instants come in."""

from dataclasses import dataclass

from stream_manager.errors import UsageError
from stream_manager.lab.faults import HEAL, Heal, Lasts, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Cause this fault now."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Undo this fault now."""

    order: Order


class Agenda:
    """Takes orders as they are given, and gives out what is due. A fault is on once or not at all.

    All instants are monotonic seconds, and never earlier than those of the call before.
    """

    def __init__(self) -> None:
        self._coming: list[tuple[float, Order]] = []
        self._on: dict[str, tuple[float | None, Order]] = {}  # by name, with the end if it is known

    @property
    def on(self) -> tuple[Order, ...]:
        """The faults that are on, in the order in which they began."""
        return tuple(order for _, order in self._on.values())

    def take(self, ordered: Order | Heal, now_s: float) -> None:
        """Write an order down. Raises `UsageError` if there is nothing of that name to heal."""
        if isinstance(ordered, Order):
            self._coming.append((now_s + ordered.after_s, ordered))
            self._coming.sort(key=lambda entry: entry[0])
            return
        name = ordered.name
        coming = [entry for entry in self._coming if name in (None, entry[1].name)]
        on = [order for order in self.on if name in (None, order.name)]
        if name is not None and not coming and not on:
            raise UsageError(f"{HEAL} {name}: this fault is neither on nor to come")
        self._coming = [entry for entry in self._coming if entry not in coming]
        for order in on:
            self._on[order.name] = (now_s, order)

    def due(self, now_s: float) -> list[Begin | End]:
        """Return what has to be done by now, in its order, and count it as done."""
        steps: list[Begin | End] = []
        while (at_s := self.next_at_s()) is not None and at_s <= now_s:
            over = [order for end_s, order in self._on.values() if end_s == at_s]
            if over:
                steps.append(self._end(over[0]))
                continue
            _, order = self._coming.pop(0)
            if order.name in self._on:
                steps.append(self._end(order))
            steps.append(Begin(order=order))
            if order.kind.lasts is not Lasts.ONCE:
                end_s = None if order.for_s is None else at_s + order.for_s
                self._on[order.name] = (end_s, order)
        return steps

    def next_at_s(self) -> float | None:
        """Return when something is due next, or None as long as nobody orders anything."""
        ends = [end_s for end_s, _ in self._on.values() if end_s is not None]
        return min([*ends, *(at_s for at_s, _ in self._coming[:1])], default=None)

    def _end(self, order: Order) -> End:
        return End(order=self._on.pop(order.name)[1])
