"""`Course`: the steps of one incident from its opening to the first proof; `Domains` says when.

Each tells the journal, and the members. Between two steps an incident waits for its only timer,
`due_s`, or for its probe, which has a lease: none waits for ever. `Comeback` has what follows.
"""

from stream_manager.recovery.choosing import able, narrower, stranded
from stream_manager.recovery.comeback import Comeback
from stream_manager.recovery.domains import AT_REST, Domain, Seens, incident_of
from stream_manager.recovery.incidents import Incident, IncidentState
from stream_manager.recovery.ledger import Ledger, Steps
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Admitted, Event, Sighting


class Course:
    """The steps of opening, the verdict, and probing."""

    def __init__(self, ledger: Ledger, comeback: Comeback) -> None:
        self._ledger = ledger
        self._comeback = comeback
        self._policy = ledger.policy

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
        next_probe_s = self._ledger.next_probe_s(now_s, now_s)
        suspected = state is IncidentState.SUSPECTED
        opened = Incident(
            domain=domain.name,
            number=domain.incidents,
            policy=self._policy,
            root=root,
            root_of=root_of,
            cause=root.rule.cause,
            failed=len(seens),
            running=len(domain.running),
            opened_s=now_s,
            state=state,
            due_s=root.at_s + self._policy.window_s if suspected else next_probe_s,
            next_probe_s=next_probe_s,
        )
        self._ledger.under_way[domain.name] = domain
        yield from self._ledger.gathered(
            domain,
            seens,
            opened,
            event,
            now_s,
            "incident-opened",
            saw={
                "cause": opened.cause.value,
                "code": root.fault.code,
                "failed": opened.failed,
                "running": opened.running,
                "members": self._policy.members,
                "share": self._policy.share,
                "within_s": self._policy.window_s,
            },
        )

    def taken_up(self, domain: Domain, id_: str, root: Sighting) -> None:
        """Open an incident that an earlier manager has left open: a probe goes out at once."""
        known = domain.incident
        if known is None:
            domain.incidents += 1
            domain.incident = Incident(
                domain=domain.name,
                number=domain.incidents,
                policy=self._policy,
                root=root,
                root_of=id_,
                cause=root.rule.cause,
                failed=0,
                running=0,
                opened_s=root.at_s,
                state=IncidentState.OPEN,
                due_s=root.at_s,
                next_probe_s=root.at_s,
            )
            self._ledger.under_way[domain.name] = domain
            self._ledger.timers.set(domain.name, root.at_s)
        elif known.failed == 0 and root.at_s < known.opened_s:
            domain.incident = replace(
                known, root=root, root_of=id_, cause=root.rule.cause, opened_s=root.at_s
            )

    def confirmed(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Nobody runs at the window's end: it is this domain."""
        before = incident_of(domain)
        due_s = max(now_s, before.next_probe_s)
        if before.probe is not None:
            due_s = self._ledger.lease_s(before.probe, now_s)
        after = replace(before, state=IncidentState.OPEN, due_s=due_s)
        yield self._ledger.moved(domain, after, event, now_s, "incident-confirmed")
        yield from self._ledger.left(domain, event, now_s)

    def vetoed(self, domain: Domain, by: str, event: Event, now_s: float) -> Steps:
        """It is not this domain: a narrower one takes over, or each recovers by itself."""
        before = incident_of(domain)
        domain.vetoes[before.cause] = by
        domains, records = self._ledger.domains, self._ledger.records
        inside = narrower(domain, before.cause, domains, records, at_least=self._policy.members)
        after = replace(before, state=IncidentState.RAMPING, blamed=False, probe=None, due_s=now_s)
        yield self._ledger.moved(domain, after, event, now_s, "incident-vetoed", by, saw={"by": by})
        for name, seens in inside.items():
            yield from self.begin(domains[name], seens, event, now_s, state=IncidentState.OPEN)
        if domain.incident is not None:
            yield from self._comeback.let_go(domain, event, now_s)

    # --- probing -------------------------------------------------------------------------------

    def probe(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Let the first in the queue that can start try; nobody else is trying."""
        before = incident_of(domain)
        next_s = self._ledger.next_probe_s(before.opened_s, now_s)
        suspected = before.state is IncidentState.SUSPECTED
        id_ = able(domain, self._ledger.under_way, self._ledger.records)
        if id_ is None and stranded(domain, self._ledger.records):
            freed = tuple(Admitted(id=it, by=domain.name, at_once=False) for it in domain.waiting)
            yield self._ledger.ended(domain, event, now_s, "deserted", tells=freed)
            return
        if id_ is None:
            due_s = before.due_s if suspected else next_s
            after = replace(before, next_probe_s=next_s, due_s=due_s)
            yield self._ledger.moved(domain, after, event, now_s, "incident-probe-postponed")
            return
        domain.leaves(id_)
        after = replace(
            before,
            probe=id_,
            probes=before.probes + 1,
            next_probe_s=next_s,
            due_s=before.due_s if suspected else self._ledger.lease_s(id_, now_s),
        )
        yield self._ledger.moved(
            domain,
            after,
            event,
            now_s,
            "incident-probe",
            id_,
            saw={"probe": id_, "number": after.probes},
            tells=(Admitted(id=id_, by=domain.name, at_once=True),),
        )

    def asked(self, domain: Domain, id_: str, event: Event, now_s: float) -> Steps:
        """An operator wants a parked member tried: it is the next probe, at once."""
        domain.waiting.move_to_end(id_, last=False)
        before = incident_of(domain)
        if before.probe is None:
            yield from self.probe(domain, event, now_s)
            return
        after = replace(before, next_probe_s=now_s)
        saw = {"asked": id_, "probe": before.probe}
        yield self._ledger.moved(domain, after, event, now_s, "incident-asked", id_, saw=saw)

    def probe_over(self, domain: Domain, event: Event, now_s: float, *, why: str) -> Steps:
        """The probe failed, was taken away, or took too long."""
        before = incident_of(domain)
        due_s: float | None = max(now_s, before.next_probe_s)
        if before.state is IncidentState.SUSPECTED:
            due_s = before.due_s
        assert before.probe is not None
        if not self._policy.enforce and self._ledger.records[before.probe].phase not in AT_REST:
            domain.joins(before.probe, parked=True)  # it goes on trying, by its own backoff
        after = replace(before, probe=None, due_s=due_s)
        saw = {"probe": before.probe, "why": why}
        rule, detail = "incident-probe-over", f"{before.probe}: {why}"
        yield self._ledger.moved(domain, after, event, now_s, rule, detail, saw=saw)
        yield from self._ledger.left(domain, event, now_s)
