"""`RecoveryManager`: all components, their relations, and the one place where events enter.

It asks the engine about one component at a time and hands the consequences, which `Tree` knows, to
the others. It performs nothing; the caller journals the decisions and then does their actions. What
components share is watched by `Domains`: its incidents' steps stand among the decisions, under the
same numbers.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from stream_manager.errors import UsageError
from stream_manager.recovery.classify import Classifier, Rule, classify
from stream_manager.recovery.engine import decide
from stream_manager.recovery.incidents import Incident, IncidentPolicy, Step
from stream_manager.recovery.outbreak import Domains
from stream_manager.recovery.own_rules import with_own
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    DUE_BY,
    Deaf,
    Decision,
    DomainDue,
    Due,
    Event,
    Failed,
    Finished,
    Gone,
    Handover,
    Phase,
    Proved,
    Record,
    RestartType,
    Spec,
    Started,
)
from stream_manager.recovery.steps import Context
from stream_manager.recovery.timers import Timers
from stream_manager.recovery.tree import Tree


class RecoveryManager:
    """Decides for every component; pure but for the records that it holds.

    chance: draws from [0, 1), for jitter. first_seq: the number of the first decision.
    incidents: when failures that components share are one, and how those come back.
    rules: classify faults, before the built-in ones; the first that matches counts.
    """

    def __init__(
        self,
        *,
        chance: Callable[[], float],
        first_seq: int = 1,
        incidents: IncidentPolicy | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self._chance = chance
        self._classify = Classifier(with_own(rules)) if rules else classify
        self._seq = first_seq
        self._records: dict[str, Record] = {}
        self._tree = Tree(self._records)
        self._timers = Timers(self._due_s)
        self.late_facts = 0
        self._domains = Domains(
            policy=incidents or IncidentPolicy(), records=self._records, chance=chance
        )

    @property
    def records(self) -> Mapping[str, Record]:
        """Every component's record, in the order in which they were added."""
        return self._records

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """The incidents under way, by their domains."""
        return self._domains.incidents

    def incident_of(self, id_: str) -> Incident | None:
        """Return the incident in which a component waits, or would but for a dry run, or None."""
        return self._domains.incident_of(self._records[id_].spec)

    def awaits(self, id_: str) -> tuple[str, ...]:
        """Return what has to be up before a component can start, and is not."""
        return self._tree.awaits(self._records[id_].spec)

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
            raise UsageError(
                f"component {spec.id!r} exists already: take another name, or remove it first"
            )
        self._tree.add(spec)
        self._domains.add(spec)
        self._put(record)

    def resume(self, record: Record) -> None:
        """Let a STOPPED component go on where an earlier manager left it; see `revive`."""
        id_ = record.spec.id
        present = self._records[id_]
        if present.phase is not Phase.STOPPED:
            raise UsageError(f"component {id_!r} is {present.phase.value}: stop it first")
        self._put(record)

    def _put(self, record: Record) -> None:
        record = self._domains.taken_up(record)
        self._records[record.spec.id] = record
        if record.due_s is not None:
            self._timers.set(record.spec.id, record.due_s)

    def remove(self, id_: str) -> None:
        """Forget a STOPPED component on which nothing else stands."""
        record = self._records.get(id_)
        if record is None:
            raise UsageError(f"there is no component {id_!r}")
        if record.phase is not Phase.STOPPED:
            raise UsageError(f"component {id_!r} is {record.phase.value}: stop it first")
        self._tree.remove(record.spec)
        del self._records[id_]
        self._domains.remove(record.spec)

    def handle(self, event: Event, now_s: float) -> list[Step]:
        """Decide about `event` and all that follows from it, in order.

        Facts of an older epoch, or about a component that is gone, are counted and dropped.
        Raises InvariantError for a fact that can't be; nothing has changed then.
        """
        queue: deque[tuple[Event, int | None]] = deque([(event, None)])
        decisions: list[Step] = []
        while queue:
            told, because = queue.popleft()
            if isinstance(told, DomainDue):
                steps = self._domains.due(told, now_s)
            else:
                decision = self._decide(told, because, now_s)
                if decision is None:
                    continue
                decisions.append(decision)
                for tell in decision.tells:
                    queue.append((tell, decision.seq))
                steps, because = self._domains.watch(decision), decision.seq
            for step in steps:
                numbered = replace(step, seq=self._seq, because=because)
                self._seq += 1
                decisions.append(numbered)
                queue.extend((tell, numbered.seq) for tell in step.tells)
        return decisions

    def deaf(self, late_s: float) -> Iterator[Deaf]:
        """Yield an event for each deadline that runs, after nobody was heard for `late_s`."""
        for id_, record in tuple(self._records.items()):
            if record.due_s is not None and record.phase in DUE_BY:
                yield Deaf(id=id_, late_s=late_s)

    def _decide(self, event: Event, because: int | None, now_s: float) -> Decision | None:
        """Decide about one component, and take the decision down."""
        record = self._records.get(event.id)
        if record is None or self._outdated(event, record, now_s):
            self.late_facts += 1
            return None
        if isinstance(event, Failed) or (
            isinstance(event, Finished) and record.spec.restart is RestartType.PERMANENT
        ):
            event = self._tree.collateral(event, record)
        held_by, incidents = self._domains.surrounding(record.spec)
        context = Context(
            now_s=now_s,
            chance=self._chance,
            classify=self._classify,
            awaits=self._tree.awaits(record.spec),
            burdened=self._tree.burdened(event.id),
            held_by=held_by,
            incidents=incidents,
            seq=self._seq,
            because=because,
        )
        decision = decide(record, event, context)
        if decision is None:
            return None
        self._seq += 1
        self._apply(decision)
        consequences = tuple(self._tree.consequences(decision))
        if consequences:
            decision = replace(decision, tells=(*decision.tells, *consequences))
        return decision

    def next_due_s(self) -> float | None:
        """Return the instant of the earliest timer, or None."""
        instants_s = (self._timers.next_s(), self._domains.next_due_s())
        return min((it for it in instants_s if it is not None), default=None)

    def due(self, now_s: float) -> Iterator[Due | DomainDue]:
        """Yield an event for each timer that is over; feed each to `handle` before the next."""
        while (due_s := self.next_due_s()) is not None and due_s <= now_s:
            if due_s == self._timers.next_s():
                yield Due(id=self._timers.take())
            else:
                yield self._domains.take_due()

    def _due_s(self, id_: str) -> float | None:
        record = self._records.get(id_)
        return None if record is None else record.due_s

    def _apply(self, decision: Decision) -> None:
        after = decision.after
        self._records[after.spec.id] = after
        if after.due_s is not None and after.due_s != decision.before.due_s:
            self._timers.set(after.spec.id, after.due_s)

    def _outdated(self, event: Event, record: Record, now_s: float) -> bool:
        match event:
            case Started() | Proved() | Failed() | Finished() | Gone() | Handover():
                return event.epoch != record.epoch
            case Due():
                # What was decided since the timer fired may have set it anew.
                return record.due_s is None or record.due_s > now_s
            case _:
                return False
