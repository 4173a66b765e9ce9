"""`Comeback`: how the members of an incident return: along the ramp, and then each by its proof.

With the last of them the incident is not over: as long as those that were let go are still coming
up, their domain may turn out to be down again.
"""

from itertools import islice

from stream_manager.recovery.domains import Domain, incident_of, note
from stream_manager.recovery.incidents import IncidentState
from stream_manager.recovery.ledger import Ledger, Steps
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Admitted, Event, Sighting


class Comeback:
    """The steps from the first proof, or a veto, to the end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def proved(self, domain: Domain, id_: str, event: Event, now_s: float) -> Steps:
        """A member is proven: the domain is well, and all follow."""
        before = incident_of(domain)
        domain.let_go[id_] = None
        after = replace(
            before, state=IncidentState.RAMPING, probe=None, step=0, let_go=0, due_s=now_s
        )
        yield self._ledger.moved(
            domain,
            after,
            event,
            now_s,
            "incident-proved",
            id_,
            saw={"probe": id_, "waiting": domain.queued},
        )
        yield from self.let_go(domain, event, now_s)

    def let_go(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Let the ramp's next members go; with the last, wait until they have proven themselves."""
        before, policy = incident_of(domain), self._ledger.policy
        some = list(islice(domain.waiting, policy.batch(before.step)))
        for id_ in some:
            domain.leaves(id_)
            if before.blamed:
                domain.let_go[id_] = None
                domain.returning[id_] = self._ledger.lease_s(id_, now_s)
        due_s = now_s + policy.ramp_step_s
        if not domain.queued:
            due_s = max(domain.returning.values(), default=now_s)
        after = replace(
            before,
            let_go=before.let_go + len(some),
            step=before.step + bool(some),
            due_s=due_s,
        )
        yield self._ledger.moved(
            domain,
            after,
            event,
            now_s,
            "incident-ramp",
            str(len(some)),
            saw={"now": len(some), "let_go": after.let_go, "waiting": domain.queued},
            tells=tuple(Admitted(id=it, by=domain.name, at_once=before.blamed) for it in some),
        )
        yield from self._over(domain, event, now_s)

    def settled(self, domain: Domain, id_: str, event: Event, now_s: float) -> Steps:
        """One that was let go is proven, or down by itself, or waits for something else."""
        del domain.returning[id_]
        yield from self._over(domain, event, now_s)

    def awaited(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """The time of those that were let go last is over: they are waited for no longer."""
        domain.returning.clear()
        yield from self._over(domain, event, now_s)

    def _over(self, domain: Domain, event: Event, now_s: float) -> Steps:
        if not domain.queued and not domain.returning:
            outcome = "resolved" if incident_of(domain).blamed else "released"
            yield self._ledger.ended(domain, event, now_s, outcome)

    def relapsed(self, domain: Domain, id_: str, fault: Sighting, event: Event) -> Steps:
        """One that was let go failed again; with enough of them the domain is down again."""
        before, now_s = incident_of(domain), fault.at_s
        note(domain.relapsed, id_, fault, since_s=0.0, charged=True)
        failed, let_go = len(domain.relapsed), len(domain.let_go)
        if not self._ledger.policy.enough(failed, let_go - failed):
            return
        seens = dict(domain.relapsed)
        domain.stays()
        next_s = self._ledger.next_probe_s(before.opened_s, now_s)
        after = replace(
            before,
            state=IncidentState.OPEN,
            cause=fault.rule.cause,
            next_probe_s=next_s,
            due_s=next_s,
        )
        yield from self._ledger.gathered(
            domain,
            seens,
            after,
            event,
            now_s,
            "incident-reopened",
            saw={
                "failed": failed,
                "let_go": let_go,
                "cause": after.cause.value,
                "code": fault.fault.code,
            },
        )
