"""`RecoveryManager`: all components, their relations, and the one place where events enter.

It asks the engine about one component at a time and hands the consequences, which the tree knows,
to the others. It performs nothing; the caller journals the decisions and then does their actions.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from stream_manager.errors import UsageError
from stream_manager.recovery.engine import decide
from stream_manager.recovery.states import (
    Decision,
    Due,
    Event,
    Failed,
    Gone,
    Phase,
    Proved,
    Record,
    Spec,
    Started,
)
from stream_manager.recovery.steps import Context
from stream_manager.recovery.tree import Tree


class RecoveryManager:
    """Decides for every component; pure but for the records that it holds.

    chance: draws from [0, 1), for jitter. first_seq: the number of the first decision.
    """

    def __init__(self, *, chance: Callable[[], float], first_seq: int = 1) -> None:
        self._chance = chance
        self._seq = first_seq
        self._records: dict[str, Record] = {}
        self._tree = Tree(self._records)
        self._timers: list[tuple[float, str]] = []
        self.late_facts = 0

    @property
    def records(self) -> Mapping[str, Record]:
        """Every component's record, in the order in which they were added."""
        return self._records

    def add(self, spec: Spec, *, epoch: int = 0) -> None:
        """Take a component in, STOPPED; see `take`.

        epoch: the last one that an earlier manager gave it; the next start counts on from there.
        """
        self.take(Record(spec=spec, epoch=epoch))

    def take(self, record: Record) -> None:
        """Take a component in as it is; what it names must be there already.

        Raises UsageError for an id in use, an unknown parent or need, a parent that is not needed
        (its end has to be its children's), or a place inside what sweeps its children.
        """
        spec = record.spec
        if spec.id in self._records:
            raise UsageError(f"component {spec.id!r} exists already")
        self._tree.add(spec)
        self._records[spec.id] = record
        if record.due_s is not None:
            heapq.heappush(self._timers, (record.due_s, spec.id))

    def remove(self, id_: str) -> None:
        """Forget a STOPPED component on which nothing else stands."""
        record = self._records[id_]
        if record.phase is not Phase.STOPPED:
            raise UsageError(f"component {id_!r} is {record.phase.value}: stop it first")
        self._tree.remove(record.spec)
        del self._records[id_]

    def handle(self, event: Event, now_s: float) -> list[Decision]:
        """Decide about `event` and all that follows from it, in order.

        Facts of an older epoch, or about a component that is gone, are counted and dropped.
        Raises InvariantError for a fact that can't be; nothing has changed then.
        """
        queue: deque[tuple[Event, int | None]] = deque([(event, None)])
        decisions: list[Decision] = []
        while queue:
            told, because = queue.popleft()
            record = self._records.get(told.id)
            if record is None or _outdated(told, record, now_s):
                self.late_facts += 1
                continue
            if isinstance(told, Failed):
                told = self._tree.collateral(told, record)
            context = Context(
                now_s=now_s,
                chance=self._chance,
                ready=self._tree.ready(record.spec),
                burdened=self._tree.burdened(told.id),
            )
            decision = decide(record, told, context)
            if decision is None:
                continue
            decision = replace(decision, seq=self._seq, because=because, at_s=now_s)
            self._apply(decision)
            tells = (*decision.tells, *self._tree.consequences(decision))
            decision = replace(decision, tells=tells)
            self._seq += 1
            decisions.append(decision)
            queue.extend((tell, decision.seq) for tell in tells)
        return decisions

    def next_due_s(self) -> float | None:
        """Return the instant of the earliest timer, or None."""
        while self._timers:
            due_s, id_ = self._timers[0]
            record = self._records.get(id_)
            if record is not None and record.due_s == due_s:
                return due_s
            heapq.heappop(self._timers)
        return None

    def due(self, now_s: float) -> Iterator[Due]:
        """Yield an event for each timer that is over; feed each to `handle` before the next."""
        while (due_s := self.next_due_s()) is not None and due_s <= now_s:
            yield Due(id=heapq.heappop(self._timers)[1])

    def _apply(self, decision: Decision) -> None:
        after = decision.after
        self._records[after.spec.id] = after
        if after.due_s is not None and after.due_s != decision.before.due_s:
            heapq.heappush(self._timers, (after.due_s, after.spec.id))


def _outdated(event: Event, record: Record, now_s: float) -> bool:
    match event:
        case Started() | Proved() | Failed() | Gone():
            return event.epoch != record.epoch
        case Due():
            # What was decided since the timer fired may have set it anew.
            return record.due_s is None or record.due_s > now_s
        case _:
            return False
