"""Incidents: what is known of a failure that many components share, from its first sign to its end.

An incident belongs to a domain ("host:10.0.0.5") and has one cause. It is SUSPECTED until its
window is over, then OPEN while probes go out one by one, then RAMPING while its members come back,
then ENDED. `domains` moves it; here is what it consists of, and which causes a domain can have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from stream_manager.recovery.checks import (
    refuse,
    require_counts,
    require_durations,
    require_kind,
    require_numbers,
    require_shares,
)
from stream_manager.recovery.faults import Cause
from stream_manager.recovery.states import Action, Decision, Event, Sighting

# Which causes the members of a domain can owe to it, by the kind of the domain: what stands before
# the colon of its name. A wrong password, a wrong setting and broken media are always one's own.
SHARED: Mapping[str, frozenset[Cause]] = {
    # A host that boots answers "not found" to everybody; one that is unplugged just falls silent.
    "host": frozenset({Cause.NETWORK, Cause.NOT_FOUND, Cause.STALL}),
    # An answer, even "not found", proves that the way to a host is open.
    "subnet": frozenset({Cause.NETWORK, Cause.STALL}),
    # Files of a disk that is not mounted are not found; writes to one that hangs hang.
    "volume": frozenset({Cause.STORAGE, Cause.NOT_FOUND, Cause.HANG}),
    "device": frozenset({Cause.DEVICE, Cause.NOT_FOUND, Cause.STALL, Cause.HANG}),
    # What a machine lacks. That processes crash or are killed, however many, is no lack of it: they
    # are started again at once.
    "node": frozenset({Cause.NODE, Cause.MEMORY, Cause.CPU, Cause.NETWORK}),
}
# A domain that users name themselves: all that can come from outside of a component.
SHARED_BY_OTHERS = frozenset(
    {
        *(Cause.NETWORK, Cause.NOT_FOUND, Cause.STALL, Cause.HANG),
        *(Cause.STORAGE, Cause.DEVICE, Cause.MEMORY, Cause.CPU),
    }
)
SHOWN = 20  # ids of members that an incident names; the rest is counted
TIMELINE = 40  # moments that an incident keeps: the first, and the newest


def shared_by(domain: str) -> frozenset[Cause]:
    """Return the causes of faults that may be the domain's doing."""
    return SHARED.get(domain.partition(":")[0], SHARED_BY_OTHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPolicy:
    """When failures are one incident, and how its members come back. Durations are seconds.

    members, share: how many have to fail, and which part of those that ran, within `window_s`.
    probe_every_s: from one probe to the next, spread by +-`probe_spread` of it; it is
        `slow_probe_every_s` after `slow_after_s`.
    ramp_first, ramp_most: how many come back in the first step, doubled with each, and in any.
    enforce: False for a dry run: incidents are opened and followed, and each step told, but nobody
        is parked, and nobody waits.

    Raises ValueError, naming the field and its value, for numbers that no incident can have.
    """

    members: int = 3
    share: float = 0.5
    window_s: float = 2.0
    probe_every_s: float = 2.0
    probe_spread: float = 0.1
    slow_after_s: float = 600.0
    slow_probe_every_s: float = 10.0
    ramp_first: int = 20
    ramp_most: int = 200
    ramp_step_s: float = 0.1
    enforce: bool = True

    def __post_init__(self) -> None:
        require_counts(2, members=self.members)
        require_counts(1, ramp_first=self.ramp_first, ramp_most=self.ramp_most)
        require_shares(share=self.share)
        require_durations(
            window_s=self.window_s,
            probe_every_s=self.probe_every_s,
            slow_after_s=self.slow_after_s,
            slow_probe_every_s=self.slow_probe_every_s,
            ramp_step_s=self.ramp_step_s,
        )
        require_numbers("0 to below 1", lambda it: 0 <= it < 1, probe_spread=self.probe_spread)
        require_kind(bool, enforce=self.enforce)
        if self.slow_probe_every_s < self.probe_every_s:
            allowed = f"at least probe_every_s ({self.probe_every_s})"
            refuse("slow_probe_every_s", self.slow_probe_every_s, allowed)
        if self.ramp_most < self.ramp_first:
            refuse("ramp_most", self.ramp_most, f"at least ramp_first ({self.ramp_first})")

    def enough(self, failed: int, running: int) -> bool:
        """Tell whether so many failures beside so many that run are the domain's."""
        return failed >= self.members and failed >= self.share * (failed + running)

    def interval_s(self, lasted_s: float, chance: float) -> float:
        """Return the time from one probe to the next; `chance` is from [0, 1)."""
        every_s = self.probe_every_s if lasted_s < self.slow_after_s else self.slow_probe_every_s
        return every_s * (1 + self.probe_spread * (2 * chance - 1))

    def batch(self, step: int) -> int:
        """Return how many come back in the ramp's step, counted from 0."""
        return min(self.ramp_most, self.ramp_first << min(step, 30))


class IncidentState(Enum):
    """Where an incident stands."""

    SUSPECTED = "suspected"  # members are parked; due: when whoever still runs vetoes it
    OPEN = "open"  # due: the next probe, or when the one under way counts no more
    RAMPING = "ramping"  # members come back; due: the next are let go, or all had their time
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of an incident's timeline: the rule's name, and whom or what it was about."""

    at_s: float
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident, now; replaced and never mutated. Instants are monotonic seconds.

    number: how many its domain has had, this one included: all that anybody is charged for it.
    root, root_of: the first fault, and whose it was. cause: what its members fail by: the root's,
        but for one that is open again by another. failed, running: the numbers that opened it: how
        many had failed since then, and how many still ran; none for one of an earlier manager.
    members, some: how many it has parked so far, and the first of them. waiting: how many of them
        still wait.
    probe: who is trying; probes: how many have tried; next_probe_s: when the next one may.
    step: of the ramp; let_go: how many it has let go.
    blamed: False for one that was vetoed: its members were let go to recover by themselves.
    outcome: in a word, how it ended: "resolved", "vetoed", "taken-over", "deserted".
    """

    domain: str
    number: int
    policy: IncidentPolicy
    root: Sighting
    root_of: str
    cause: Cause
    failed: int
    running: int
    opened_s: float
    state: IncidentState
    due_s: float | None
    next_probe_s: float
    members: int = 0
    some: tuple[str, ...] = ()
    waiting: int = 0
    probe: str | None = None
    probes: int = 0
    step: int = 0
    let_go: int = 0
    blamed: bool = True
    outcome: str | None = None
    ended_s: float | None = None
    timeline: tuple[Moment, ...] = ()

    @property
    def since_s(self) -> float:
        """When its first fault came."""
        return self.root.at_s

    @property
    def closed(self) -> bool:
        """Whether nobody is let go but its probe."""
        return self.state is IncidentState.SUSPECTED or self.state is IncidentState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStep:
    """One step of an incident: beside `Decision`, the other kind of entry in the journal.

    `because`, `event`, `saw` and `tells` are a decision's; what it asks of its members follows as
    their own decisions, so it has no action itself. before: None for the first step.
    """

    actions: ClassVar[tuple[Action, ...]] = ()

    event: Event
    rule: str
    before: Incident | None
    after: Incident
    saw: Mapping[str, float | str | None] = field(default_factory=dict)
    tells: tuple[Event, ...] = ()
    seq: int = 0
    because: int | None = None
    at_s: float = 0.0

    @property
    def id(self) -> str:
        """Whom it is about: a domain."""
        return self.after.domain


Step = Decision | IncidentStep  # what the journal is told
