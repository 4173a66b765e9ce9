"""Whom an incident concerns: who is parked in its queue, who tries next, whose it is if not its."""

from collections.abc import Mapping

from stream_manager.recovery.domains import Domain, Seen, Seens
from stream_manager.recovery.faults import Cause
from stream_manager.recovery.states import UP, Held, Phase, Record

# How many in the queue are asked for one that can try now: the next probe asks on from there.
ASKED = 100


def gather(
    domain: Domain, seens: Seens, domains: Mapping[str, Domain], records: Mapping[str, Record]
) -> tuple[tuple[Held, ...], list[Domain]]:
    """Call those that failed, and members parked by other domains; tell whom that leaves empty."""
    held: list[Held] = []
    others: dict[str, Domain] = {}
    for id_ in domain.members:
        names, seen = records[id_].spec.domains, seens.get(id_)
        elsewhere = [name for name in names if name != domain.name and domains[name].queues(id_)]
        if elsewhere:
            others |= {name: domains[name] for name in elsewhere}
            for name in elsewhere:
                domains[name].leaves(id_)
        elif seen is None:
            continue
        charged = seen.charged if seen else ()
        since_s = charged[0] if charged else 0.0
        held.append(Held(id=id_, by=domain.name, failures=len(charged), since_s=since_s))
        domain.involved[id_] = None
    return tuple(held), [it for it in others.values() if it.incident and not it.queued]


def able(
    domain: Domain, under_way: Mapping[str, Domain], records: Mapping[str, Record]
) -> str | None:
    """Return the first in the queue that could start now; those before it go to the end."""
    for _ in range(min(ASKED, len(domain.waiting))):
        id_ = next(iter(domain.waiting))
        spec = records[id_].spec
        others = [under_way[name] for name in spec.domains if name in under_way]
        blocked = any(other.blocks(id_) for other in others if other is not domain)
        if not blocked and all(records[need].phase in UP for need in spec.needs):
            return id_
        domain.waiting.move_to_end(id_)
    return None


def stranded(domain: Domain, records: Mapping[str, Record]) -> bool:
    """Tell whether all in the queue need what will not come back by itself, or not soon."""
    return not domain.coming and all(_lacks(records[id_], records) for id_ in domain.waiting)


def _lacks(record: Record, records: Mapping[str, Record]) -> bool:
    """Tell whether something that a component needs, near or far, is FAILED or not wanted."""
    needs = [records[need] for need in record.spec.needs]
    if any(need.phase in {Phase.FAILED, Phase.STOPPED} for need in needs):
        return True
    return any(need.phase is Phase.PARKED and _lacks(need, records) for need in needs)


def narrower(
    vetoed: Domain,
    cause: Cause,
    domains: Mapping[str, Domain],
    records: Mapping[str, Record],
    *,
    at_least: int,
) -> dict[str, Seens]:
    """Find the domains inside one that it is not, in which nobody runs, and who failed in each.

    Of several the narrowest has a member, but for a wider one in which more have failed.
    """
    inside: dict[str, Seens] = {}
    names: dict[str, list[str]] = {}
    for id_ in (*vetoed.waiting, *vetoed.coming):
        record = records[id_]
        if record.last is None or record.last.rule.cause is not cause:
            continue
        seen = Seen(last=record.last, charged=())
        all_names = record.spec.domains
        for name in all_names[: all_names.index(vetoed.name)]:
            domain = domains[name]
            if domain.incident is None and not domain.running and cause in domain.shared:
                names.setdefault(id_, []).append(name)
                inside.setdefault(name, {})[id_] = seen
    found: dict[str, Seens] = {}
    for id_, its_names in names.items():
        widest = max(its_names, key=lambda name: len(inside[name]))  # the first of equal ones
        if len(inside[widest]) >= at_least:
            found.setdefault(widest, {})[id_] = inside[widest][id_]
    return found
