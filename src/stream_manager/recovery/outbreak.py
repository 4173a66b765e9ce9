"""`Domains`: finds the failures that are one incident, and follows its members.

Rules, in the order in which an incident meets them (`Course` and `Comeback` have its steps):
- It opens when enough members fail by one cause within the window. The narrowest domain wins, but
  for a wider one in which more have failed; that one takes over all that is parked in it.
- It is suspected until the window is over: whoever runs then vetoes it, for as long as that one
  goes on running. What was parked recovers by itself then, or with a narrower domain.
- While it is open one member at a time may try. The first that is proven lets all others follow,
  along the ramp; if too many of those fail again, it is open again.
- A member waits in the incident that opened last of all that block it. So those in the first one's
  queue are blocked by no other, and no two incidents can wait for each other.
"""

from collections.abc import Callable, Mapping

from stream_manager.recovery.comeback import Comeback
from stream_manager.recovery.course import Course
from stream_manager.recovery.domains import AT_REST, Domain, incident_of, known
from stream_manager.recovery.faults import FaultClass
from stream_manager.recovery.incidents import Incident, IncidentPolicy, IncidentState
from stream_manager.recovery.ledger import Ledger, Steps
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import (
    UP,
    Decision,
    DomainDue,
    Held,
    Phase,
    Record,
    Reset,
    Restart,
    Sighting,
    Spec,
)
from stream_manager.recovery.steps import COMING_UP

# A first fault after a calm time is tried again at once, and tells of nobody else; FATAL is one's
# own always.
TELLING = frozenset({FaultClass.RECOVERABLE, FaultClass.CASCADE})


class Domains:
    """All domains of all components: `watch` follows each decision, `due` each timer.

    Both yield the steps of incidents. What a step tells is to be handed to the members before any
    event from outside; its number is the manager's to give.
    """

    def __init__(
        self,
        *,
        policy: IncidentPolicy,
        records: Mapping[str, Record],
        chance: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._domains: dict[str, Domain] = {}
        self._ledger = Ledger(policy=policy, domains=self._domains, records=records, chance=chance)
        self._comeback = Comeback(self._ledger)
        self._course = Course(self._ledger, self._comeback)

    @property
    def incidents(self) -> dict[str, Incident]:
        """The incidents under way, by their domains, with all whom they have parked by now."""
        under_way = self._ledger.under_way
        return {name: known(it) for name, it in under_way.items()}

    def incident_of(self, spec: Spec) -> Incident | None:
        """Return the incident in whose queue a component is, or None."""
        queues = [it for it in self._around(spec) if it.queues(spec.id)]
        newest = max(queues, key=lambda it: it.opened, default=None)  # several in a dry run
        return None if newest is None else known(newest)

    def add(self, spec: Spec) -> None:
        """Take a component's domains in."""
        for name in spec.domains:
            if name not in self._domains:
                self._domains[name] = Domain(name=name)
            self._domains[name].members[spec.id] = None

    def remove(self, spec: Spec) -> None:
        """Forget a component that is STOPPED, and domains that nobody names any more."""
        for name in spec.domains:
            domain = self._domains[name]
            domain.forget(spec.id)
            if not domain.members and domain.incident is None:
                del self._domains[name]

    def taken_up(self, record: Record) -> Record:
        """Let one that an earlier manager had parked wait again, in the incident that it was in.

        It is formed anew by the first of them, and its root is the oldest of their faults. One that
        is coming to its end takes nobody in.
        """
        name, last = record.held_by, record.last
        if name is None:
            return record
        domain = self._domains.get(name) if name in record.spec.domains else None
        if domain is None or last is None or not self._policy.enforce:
            return replace(record, held_by=None)
        if last.rule.cause in domain.shared:
            self._course.taken_up(domain, record.spec.id, last)
        if domain.incident is None or not domain.incident.closed:
            return replace(record, held_by=None)
        domain.joins(record.spec.id, parked=True)
        return replace(record, phase=Phase.PARKED, due_s=None, resume_s=record.due_s)

    def surrounding(self, spec: Spec) -> tuple[str | None, tuple[Incident, ...]]:
        """Return the domain that keeps a component from starting, and whose incidents spare it."""
        around = self._around(spec)
        if not around or not self._policy.enforce:
            return None, ()
        blocking = [it for it in around if it.blocks(spec.id)]
        holder = max(blocking, key=lambda it: it.opened, default=None)
        closed = tuple(it for it in map(incident_of, around) if it.closed)
        return holder.name if holder else None, closed

    def next_due_s(self) -> float | None:
        """Return the instant of the earliest timer, or None."""
        return self._ledger.timers.next_s()

    def take_due(self) -> DomainDue:
        """Return the event of the earliest timer, which there has to be."""
        return DomainDue(id=self._ledger.timers.take())

    def due(self, event: DomainDue, now_s: float) -> Steps:
        """Take the next step of an incident whose timer is over; one that is not does nothing."""
        domain = self._ledger.under_way.get(event.id)
        if domain is None:
            return
        incident = incident_of(domain)
        if incident.due_s is None or incident.due_s > now_s:
            return
        match incident.state:
            case IncidentState.SUSPECTED if domain.running:
                by = next(iter(domain.running))
                yield from self._course.vetoed(domain, by, event, now_s)
            case IncidentState.SUSPECTED:
                yield from self._course.confirmed(domain, event, now_s)
            case IncidentState.OPEN if incident.probe is not None:
                yield from self._course.probe_over(domain, event, now_s, why="no proof in time")
            case IncidentState.OPEN:
                yield from self._course.probe(domain, event, now_s)
            case _ if not domain.queued:  # RAMPING
                yield from self._comeback.awaited(domain, event, now_s)
            case _:
                yield from self._comeback.let_go(domain, event, now_s)

    def watch(self, decision: Decision) -> Steps:
        """Follow a decision about a component."""
        before, after = decision.before, decision.after
        names = after.spec.domains
        if not names:
            return
        fault = after.last if after.last is not before.last else None
        if self._policy.enforce:
            self._keep_queues(decision)
        else:
            self._keep_dry_queues(decision, fault)
        if after.phase is not before.phase:
            self._keep_running(before, after)
        if fault is not None and fault.rule.fault_class in TELLING:
            found = self._sighted(after, fault)
            if found is not None:
                seens = found.sightings.pop(fault.rule.cause)
                yield from self._course.begin(found, seens, decision.event, fault.at_s)
        under_way = self._ledger.under_way
        for name in names:
            if name in under_way:
                yield from self._follow(under_way[name], decision, fault)

    def _keep_queues(self, decision: Decision) -> None:
        before, after = decision.before, decision.after
        id_, was, now = after.spec.id, before.held_by, after.held_by
        if was is not None and was != now:
            self._domains[was].leaves(id_)
        if now is not None and (was != now or after.phase is not before.phase):
            self._domains[now].joins(id_, parked=after.phase is Phase.PARKED)
        if isinstance(decision.event, Held):
            for name in after.spec.domains:
                self._domains[name].given_back(id_)

    def _keep_dry_queues(self, decision: Decision, fault: Sighting | None) -> None:
        """In a dry run, in which no record says it: who would wait here is who fails meanwhile."""
        before, after = decision.before, decision.after
        id_, tried = after.spec.id, after.wanted and after.afterwards is not Phase.FAILED
        for domain in self._around(after.spec):
            incident = incident_of(domain)
            if fault is not None and fault.rule.cause is incident.cause and tried:
                if incident.closed:
                    domain.joins(id_, parked=True)
            elif after.phase is not before.phase and after.phase in AT_REST:
                domain.leaves(id_)

    def _keep_running(self, before: Record, after: Record) -> None:
        """A member runs from its proof until it is down: what its child lacks is the child's."""
        for name in after.spec.domains:
            if after.phase is Phase.RUNNING:
                self._domains[name].runs(after.spec.id)
            elif before.phase in UP and after.phase not in UP:
                self._domains[name].runs_no_more(after.spec.id)

    def _sighted(self, record: Record, fault: Sighting) -> Domain | None:
        """Count a failure in each domain that it may be owed to; return the one that it is."""
        cause = fault.rule.cause
        window_s, charged = self._policy.window_s, record.held_by is None
        found: Domain | None = None
        covered = 0
        for name in record.spec.domains:
            domain = self._domains[name]
            if cause not in domain.shared or cause in domain.vetoes:
                continue
            if domain.incident is not None:
                if domain.incident.blamed and domain.incident.cause is cause:
                    found, covered = None, max(covered, len(domain.involved))
                continue
            count = domain.sighted(record.spec.id, fault, window_s=window_s, charged=charged)
            if count > covered and self._policy.enough(count, len(domain.running)):
                found, covered = domain, count
        return found

    def _follow(self, domain: Domain, decision: Decision, fault: Sighting | None) -> Steps:
        """See what a decision about a member means to the incident of its domain."""
        incident, event, now_s = incident_of(domain), decision.event, decision.at_s
        before, after = decision.before, decision.after
        id_ = after.spec.id
        if not incident.closed:
            yield from self._follow_return(domain, decision, fault)
        elif after.phase is Phase.RUNNING and before.phase is not Phase.RUNNING:
            if incident.state is IncidentState.SUSPECTED:
                yield from self._course.vetoed(domain, id_, event, now_s)
            else:
                yield from self._comeback.proved(domain, id_, event, now_s)
        elif id_ == incident.probe and _over(before.phase, after.phase):
            why = fault.fault.code if fault else after.phase.value
            yield from self._course.probe_over(domain, event, now_s, why=why)
        elif isinstance(event, Restart | Reset) and id_ in domain.waiting:
            yield from self._course.asked(domain, id_, event, now_s)
        elif not self._policy.enforce or (
            before.held_by == domain.name and after.held_by != domain.name
        ):
            yield from self._ledger.left(domain, event, now_s)

    def _follow_return(self, domain: Domain, decision: Decision, fault: Sighting | None) -> Steps:
        """See what becomes of a member that is let go."""
        after, id_ = decision.after, decision.after.spec.id
        if fault is not None and fault.rule.cause in domain.shared and id_ in domain.let_go:
            yield from self._comeback.relapsed(domain, id_, fault, decision.event)
        if after.phase not in COMING_UP and id_ in domain.returning:
            yield from self._comeback.settled(domain, id_, decision.event, decision.at_s)

    def _around(self, spec: Spec) -> list[Domain]:
        """Return the domains of a component that have an incident."""
        under_way = self._ledger.under_way
        return [under_way[name] for name in spec.domains if name in under_way] if under_way else []


def _over(was: Phase, now: Phase) -> bool:
    """Tell whether a probe tries no longer; in a dry run it may not have begun to."""
    return now not in COMING_UP and (was in COMING_UP or now in AT_REST)
