"""`Course`: the steps of one incident, from its opening to its end; `Domains` says when.

Each tells the journal, and the members. Between two steps an incident waits for its only timer,
`due_s`, or for its probe, which has a lease: none waits for ever.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from stream_manager.recovery.choosing import able, gather, narrower, stranded
from stream_manager.recovery.domains import AT_REST, Domain, Seens, incident_of, note
from stream_manager.recovery.incidents import (
    TIMELINE,
    Incident,
    IncidentPolicy,
    IncidentState,
    IncidentStep,
    Moment,
    known,
)
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Admitted, Event, Record, Sighting
from stream_manager.recovery.steps import NOTHING, Evidence
from stream_manager.recovery.timers import Timers

Steps = Iterator[IncidentStep]


class Course:
    """Moves incidents; the queues of `domains` are changed, `records` are read.

    under_way: the domains that have an incident, by name. timers: their next steps.
    """

    def __init__(
        self,
        *,
        policy: IncidentPolicy,
        domains: Mapping[str, Domain],
        records: Mapping[str, Record],
        chance: Callable[[], float],
    ) -> None:
        self.under_way: dict[str, Domain] = {}
        self._policy = policy
        self._domains = domains
        self._records = records
        self._chance = chance
        self._opened = 0
        self.timers = Timers(self._due_s)

    def _due_s(self, name: str) -> float | None:
        domain = self.under_way.get(name)
        return None if domain is None else incident_of(domain).due_s

    # --- opening -------------------------------------------------------------------------------

    def begin(
        self,
        domain: Domain,
        seens: Seens,
        event: Event,
        now_s: float,
        *,
        state: IncidentState = IncidentState.SUSPECTED,
    ) -> Steps:
        """Open an incident, with all those that failed in its queue."""
        domain.incidents += 1
        root_of, root = next((it, seen.last) for it, seen in seens.items())
        next_probe_s = now_s + self._policy.interval_s(0.0, self._chance())
        suspected = state is IncidentState.SUSPECTED
        opened = Incident(
            domain=domain.name,
            number=domain.incidents,
            policy=self._policy,
            root=root,
            root_of=root_of,
            failed=len(seens),
            running=len(domain.running),
            opened_s=now_s,
            state=state,
            due_s=root.at_s + self._policy.window_s if suspected else next_probe_s,
            next_probe_s=next_probe_s,
        )
        saw: Evidence = {
            "cause": opened.cause.value,
            "code": root.fault.code,
            "failed": opened.failed,
            "running": opened.running,
            "members": self._policy.members,
            "share": self._policy.share,
            "within_s": self._policy.window_s,
        }
        self.under_way[domain.name] = domain
        yield from self._gathered(domain, seens, opened, event, now_s, "incident-opened", saw=saw)

    def _gathered(
        self,
        domain: Domain,
        seens: Seens,
        after: Incident,
        event: Event,
        now_s: float,
        rule: str,
        *,
        saw: Evidence,
    ) -> Steps:
        """Park all that failed, and what other incidents have parked of this domain."""
        self._opened += 1
        domain.opened = self._opened
        tells, emptied = gather(domain, seens, self._domains, self._records)
        if not self._policy.enforce:
            for it in tells:
                domain.joins(it.id, parked=True)
        yield self._moved(domain, after, event, now_s, rule, saw=saw, tells=tells)
        for other in emptied:
            yield self._ended(other, event, now_s, "taken-over", by=domain.name)

    def confirmed(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Nobody runs at the window's end: it is this domain."""
        before = incident_of(domain)
        due_s = max(now_s, before.next_probe_s)
        if before.probe is not None:
            due_s = self._lease_s(before.probe, now_s)
        after = replace(before, state=IncidentState.OPEN, due_s=due_s)
        yield self._moved(domain, after, event, now_s, "incident-confirmed")
        yield from self.left(domain, event, now_s)

    def vetoed(self, domain: Domain, by: str, event: Event, now_s: float) -> Steps:
        """It is not this domain: a narrower one takes over, or each recovers by itself."""
        before = incident_of(domain)
        domain.vetoes[before.cause] = by
        inside = narrower(
            domain, before.cause, self._domains, self._records, at_least=self._policy.members
        )
        after = replace(before, state=IncidentState.RAMPING, blamed=False, probe=None, due_s=now_s)
        yield self._moved(domain, after, event, now_s, "incident-vetoed", by, saw={"by": by})
        for name, seens in inside.items():
            other = self._domains[name]
            yield from self.begin(other, seens, event, now_s, state=IncidentState.OPEN)
        if domain.incident is not None:
            yield from self.let_go(domain, event, now_s)

    # --- probing -------------------------------------------------------------------------------

    def probe(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Let the first in the queue that can start try; nobody else is trying."""
        before = incident_of(domain)
        next_s = self._next_probe_s(before, now_s)
        suspected = before.state is IncidentState.SUSPECTED
        id_ = able(domain, self.under_way, self._records)
        if id_ is None and stranded(domain, self._records):
            freed = tuple(Admitted(id=it, by=domain.name, at_once=False) for it in domain.waiting)
            yield self._ended(domain, event, now_s, "deserted", tells=freed)
            return
        if id_ is None:
            due_s = before.due_s if suspected else next_s
            after = replace(before, next_probe_s=next_s, due_s=due_s)
            yield self._moved(domain, after, event, now_s, "incident-probe-postponed")
            return
        domain.leaves(id_)
        after = replace(
            before,
            probe=id_,
            probes=before.probes + 1,
            next_probe_s=next_s,
            due_s=before.due_s if suspected else self._lease_s(id_, now_s),
        )
        tells = (Admitted(id=id_, by=domain.name, at_once=True),)
        saw: Evidence = {"probe": id_, "number": after.probes}
        yield self._moved(domain, after, event, now_s, "incident-probe", id_, saw=saw, tells=tells)

    def asked(self, domain: Domain, id_: str, event: Event, now_s: float) -> Steps:
        """An operator wants a parked member tried: it is the next probe, at once."""
        domain.waiting.move_to_end(id_, last=False)
        before = incident_of(domain)
        if before.probe is None:
            yield from self.probe(domain, event, now_s)
            return
        after = replace(before, next_probe_s=now_s)
        saw: Evidence = {"asked": id_, "probe": before.probe}
        yield self._moved(domain, after, event, now_s, "incident-asked", id_, saw=saw)

    def probe_over(self, domain: Domain, event: Event, now_s: float, *, why: str) -> Steps:
        """The probe failed, was taken away, or took too long."""
        before = incident_of(domain)
        due_s: float | None = max(now_s, before.next_probe_s)
        if before.state is IncidentState.SUSPECTED:
            due_s = before.due_s
        assert before.probe is not None
        if not self._policy.enforce and self._records[before.probe].phase not in AT_REST:
            domain.joins(before.probe, parked=True)  # it goes on trying, by its own backoff
        after = replace(before, probe=None, due_s=due_s)
        saw: Evidence = {"probe": before.probe, "why": why}
        rule, detail = "incident-probe-over", f"{before.probe}: {why}"
        yield self._moved(domain, after, event, now_s, rule, detail, saw=saw)
        yield from self.left(domain, event, now_s)

    def _next_probe_s(self, incident: Incident, now_s: float) -> float:
        return now_s + self._policy.interval_s(now_s - incident.opened_s, self._chance())

    def _lease_s(self, probe: str, now_s: float) -> float:
        """Return until when a probe counts: past its own deadline, if it has one."""
        return now_s + self._records[probe].spec.policy.start_deadline_s + self._policy.window_s

    # --- coming back ---------------------------------------------------------------------------

    def proved(self, domain: Domain, id_: str, event: Event, now_s: float) -> Steps:
        """A member is proven: the domain is well, and all follow."""
        before = incident_of(domain)
        if before.state is IncidentState.SUSPECTED:
            yield from self.vetoed(domain, id_, event, now_s)
            return
        after = replace(
            before, state=IncidentState.RAMPING, probe=None, step=0, let_go=0, due_s=now_s
        )
        saw: Evidence = {"probe": id_, "waiting": domain.queued}
        yield self._moved(domain, after, event, now_s, "incident-proved", id_, saw=saw)
        yield from self.let_go(domain, event, now_s)

    def let_go(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Let the ramp's next members go; with the last the incident ends."""
        before = incident_of(domain)
        some = list(islice(domain.waiting, self._policy.batch(before.step)))
        for id_ in some:
            domain.leaves(id_)
            if before.blamed:
                domain.let_go[id_] = None
        tells = tuple(Admitted(id=it, by=domain.name, at_once=before.blamed) for it in some)
        after = replace(
            before,
            let_go=before.let_go + len(some),
            step=before.step + bool(some),
            due_s=now_s + self._policy.ramp_step_s,
        )
        saw: Evidence = {"now": len(some), "let_go": after.let_go, "waiting": domain.queued}
        yield self._moved(
            domain, after, event, now_s, "incident-ramp", str(len(some)), saw=saw, tells=tells
        )
        if not domain.queued:
            yield self._ended(domain, event, now_s, "resolved" if before.blamed else "released")

    def relapsed(self, domain: Domain, id_: str, fault: Sighting, event: Event) -> Steps:
        """One that was let go failed again; with enough of them the domain is down again."""
        before, now_s = incident_of(domain), fault.at_s
        note(domain.relapsed, id_, fault, since_s=0.0, charged=True)
        failed, let_go = len(domain.relapsed), len(domain.let_go)
        if not self._policy.enough(failed, let_go - failed):
            return
        seens = dict(domain.relapsed)
        domain.relapsed.clear()
        domain.let_go.clear()
        next_s = self._next_probe_s(before, now_s)
        after = replace(before, state=IncidentState.OPEN, next_probe_s=next_s, due_s=next_s)
        saw: Evidence = {"failed": failed, "let_go": let_go}
        rule = "incident-reopened"
        yield from self._gathered(domain, seens, after, event, now_s, rule, saw=saw)

    # --- the end -------------------------------------------------------------------------------

    def left(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Somebody left the queue: if nobody is left, there is nothing to wait for."""
        if not domain.queued and incident_of(domain).probe is None:
            yield self._ended(domain, event, now_s, "deserted")

    def _ended(
        self,
        domain: Domain,
        event: Event,
        now_s: float,
        outcome: str,
        *,
        by: str = "",
        tells: tuple[Event, ...] = (),
    ) -> IncidentStep:
        after = replace(
            incident_of(domain),
            state=IncidentState.ENDED,
            due_s=None,
            probe=None,
            outcome=outcome,
            ended_s=now_s,
        )
        saw: Evidence = {"members": len(domain.involved), "by": by or None}
        rule = f"incident-{outcome}"
        step = self._moved(domain, after, event, now_s, rule, by, saw=saw, tells=tells)
        domain.closes()
        del self.under_way[domain.name]
        return step

    def _moved(
        self,
        domain: Domain,
        after: Incident,
        event: Event,
        now_s: float,
        rule: str,
        detail: str = "",
        *,
        saw: Mapping[str, float | str | None] = NOTHING,
        tells: tuple[Event, ...] = (),
    ) -> IncidentStep:
        """Take a step: write it into the timeline, and renew the timer; a dry run tells nobody."""
        before = domain.incident
        first, rest = after.timeline[:1], after.timeline[1:]
        moment = Moment(at_s=now_s, what=rule.removeprefix("incident-"), detail=detail)
        after = replace(after, timeline=(*first, *rest[2 - TIMELINE :], moment))
        domain.incident = known(after, domain.involved)
        if after.due_s is not None:
            self.timers.set(domain.name, after.due_s)
        return IncidentStep(
            event=event,
            rule=rule,
            before=before,
            after=domain.incident,
            saw=saw,
            tells=tells if self._policy.enforce else (),
            at_s=now_s,
        )
