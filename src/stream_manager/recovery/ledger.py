"""`Ledger`: the incidents under way, and how each of their steps is taken down.

A step is written into the incident's timeline, told to the journal and to the members, and renews
the incident's only timer.
"""

from collections.abc import Callable, Iterator, Mapping

from stream_manager.recovery.choosing import gather
from stream_manager.recovery.domains import Domain, Seens, incident_of, known
from stream_manager.recovery.incidents import (
    TIMELINE,
    Incident,
    IncidentPolicy,
    IncidentState,
    IncidentStep,
    Moment,
)
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Event, Record
from stream_manager.recovery.steps import NOTHING, Evidence
from stream_manager.recovery.timers import Timers

Steps = Iterator[IncidentStep]


class Ledger:
    """What all steps of incidents need; the queues of `domains` are changed, `records` are read.

    under_way: the domains that have an incident, by name. timers: their next steps.
    chance: draws from [0, 1).
    """

    def __init__(
        self,
        *,
        policy: IncidentPolicy,
        domains: Mapping[str, Domain],
        records: Mapping[str, Record],
        chance: Callable[[], float],
    ) -> None:
        self.policy = policy
        self.domains = domains
        self.records = records
        self.under_way: dict[str, Domain] = {}
        self.timers = Timers(self._due_s)
        self._chance = chance
        self._opened = 0

    def _due_s(self, name: str) -> float | None:
        domain = self.under_way.get(name)
        return None if domain is None else incident_of(domain).due_s

    def next_probe_s(self, since_s: float, now_s: float) -> float:
        """Return when the next probe may go out for an incident that was opened at `since_s`."""
        return now_s + self.policy.interval_s(now_s - since_s, self._chance())

    def lease_s(self, id_: str, now_s: float) -> float:
        """Return until when one that starts now is waited for: past its own deadline."""
        return now_s + self.records[id_].spec.policy.start_deadline_s + self.policy.window_s

    def gathered(
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
        tells, emptied = gather(domain, seens, self.domains, self.records)
        if not self.policy.enforce:
            for it in tells:
                domain.joins(it.id, parked=True)
        yield self.moved(domain, after, event, now_s, rule, saw=saw, tells=tells)
        for other in emptied:
            yield self.ended(other, event, now_s, "taken-over", by=domain.name)

    def left(self, domain: Domain, event: Event, now_s: float) -> Steps:
        """Somebody left the queue: if nobody is left, there is nothing to wait for."""
        if not domain.queued and incident_of(domain).probe is None:
            yield self.ended(domain, event, now_s, "deserted")

    def ended(
        self,
        domain: Domain,
        event: Event,
        now_s: float,
        outcome: str,
        *,
        by: str = "",
        tells: tuple[Event, ...] = (),
    ) -> IncidentStep:
        """Take the last step of an incident."""
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
        step = self.moved(domain, after, event, now_s, rule, by, saw=saw, tells=tells)
        domain.closes()
        del self.under_way[domain.name]
        return step

    def moved(
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
        domain.incident = replace(after, timeline=(*first, *rest[2 - TIMELINE :], moment))
        domain.incident = known(domain)
        if after.due_s is not None:
            self.timers.set(domain.name, after.due_s)
        return IncidentStep(
            event=event,
            rule=rule,
            before=before,
            after=domain.incident,
            saw=saw,
            tells=tells if self.policy.enforce else (),
            at_s=now_s,
        )
