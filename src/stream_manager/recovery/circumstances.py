"""Why a parked component waits: the incident of its domain, in sentences for a tired person."""

from collections.abc import Callable

from stream_manager.recovery.explain import in_words
from stream_manager.recovery.incidents import Incident, IncidentState
from stream_manager.recovery.spans import span


def circumstances(
    incident: Incident, *, now_s: float, wall: Callable[[float], str], at: Callable[[float], str]
) -> list[str]:
    """Return which domain is down since when, by which numbers, who is trying, and what is next.

    Of a dry run they tell what would be. wall: renders an instant; at: renders one to come, with
    the time until then.
    """
    domain, policy, root = incident.domain, incident.policy, incident.root
    since_s, share = incident.since_s, round(100 * policy.share)
    are = "are" if policy.enforce else "would be"
    begun = (
        f"{domain} has an incident since {wall(since_s)}, for {span(now_s - since_s)}: "
        f"{incident.members} of its members {are} parked, their cause {incident.cause.value}."
    )
    if not policy.enforce:
        begun += " This is a dry run, which parks nobody: each recovers by itself."
    first = f"The first was {incident.root_of}: {in_words(root.fault, root.rule)}."
    if not incident.failed:
        told = f"The manager before this one had opened it. {first}"
        return [begun, told, _next(incident, at)]
    evidence = (
        f"It was opened at {wall(incident.opened_s)} by {incident.failed} that failed within "
        f"{policy.window_s:g} s, while {incident.running} ran; {policy.members} are enough, if "
        f"they are {share} % of those that had run. {first}"
    )
    return [begun, evidence, _next(incident, at)]


def _next(incident: Incident, at: Callable[[float], str]) -> str:
    due = "" if incident.due_s is None else at(incident.due_s)
    tried = f"{incident.probes} tried so far" if incident.probes else "none tried so far"
    next_probe = at(incident.next_probe_s)
    tries, then, were = "is trying", "tries", "were"
    if not incident.policy.enforce:
        tries, then, were = "would be trying", "would try", "would have been"
    match incident.state:
        case IncidentState.SUSPECTED:
            return f"At {due}, whoever still runs tells that it is not {incident.domain}."
        case IncidentState.OPEN if incident.probe is not None:
            return (
                f"{incident.probe} {tries} for all of them, as probe {incident.probes}; if it "
                f"fails, the next one {then} at {next_probe}."
            )
        case IncidentState.OPEN:
            return f"One at a time {then} for all of them, {tried}; the next one at {due}."
        case _:  # RAMPING, for who waits in it
            return f"{incident.let_go} {were} let go already, a few at a time; the next at {due}."
