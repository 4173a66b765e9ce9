"""The steps of an incident in sentences, as `explain` has them for decisions.

Every rule's name has its words here; a test holds the two together.
"""

from collections.abc import Callable, Mapping

from stream_manager.recovery.incidents import Incident, IncidentState, IncidentStep
from stream_manager.recovery.spans import span

STEPS: Mapping[str, str] = {
    "incident-opened": (
        "{failed} members failed within {within_s:g} s, their cause {cause} ({code}); {running} ran"
    ),
    "incident-confirmed": "none of its members stayed healthy, so it is the cause",
    "incident-vetoed": "{by} stayed healthy, so this is not the cause",
    "incident-probe": "probe {number} is {probe}",
    "incident-probe-postponed": "none of those that wait can be started now",
    "incident-asked": "{asked} is asked for, and tries when {probe} has failed",
    "incident-probe-over": "probe {probe} did not succeed ({why})",
    "incident-proved": "{probe} is proven, and {waiting} follow",
    "incident-ramp": "{now} were let go, {let_go} so far",
    "incident-reopened": (
        "{failed} of the {let_go} that were let go failed again, their cause {cause} ({code})"
    ),
    "incident-taken-over": "those that waited wait for {by} now",
    "incident-deserted": "nobody waits any more",
    "incident-resolved": "its {members} members came back, or had the time to",
    "incident-released": "the last of {members} was let go, to recover by itself",
}


def told(step: IncidentStep, wall: Callable[[float], str]) -> str:
    """Return one sentence: which domain, what happened, and what comes next, at which time."""
    what = STEPS[step.rule].format_map(step.saw)
    if not step.after.policy.enforce:
        what = f"a dry run tells what would be, and parks nobody: {what}"
    return f"{step.after.domain}: {what} — {awaited(step.after, wall)}"


def awaited(incident: Incident, wall: Callable[[float], str]) -> str:
    """Return half a sentence: what an incident waits for, and until when."""
    at = "" if incident.due_s is None else wall(incident.due_s)
    match incident.state:
        case IncidentState.SUSPECTED:
            return f"{incident.members} are parked until {at}, when whoever still runs tells"
        case IncidentState.OPEN if incident.probe is not None:
            return f"{incident.probe} is trying, until {at} at the latest"
        case IncidentState.OPEN:
            return f"the next one tries at {at}"
        case IncidentState.RAMPING if incident.waiting:
            return f"the next are let go at {at}"
        case IncidentState.RAMPING:
            return f"those that were let go have until {at} to prove themselves"
        case _:  # ENDED
            lasted_s = (incident.ended_s or 0.0) - incident.since_s
            return f"incident {incident.number} is over, after {span(lasted_s)}"
