"""`Domain`: what is known of one thing that components share: who runs, who failed, who waits.

Every change costs the same however many members there are: nothing here is counted by looking at
all of them. All of it is plain dictionaries in the order in which things happened, and so can be
saved and read back; `Domains` (in `outbreak`, with `course`) decides what becomes of it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

from stream_manager.recovery.faults import Cause
from stream_manager.recovery.incidents import SHOWN, Incident, shared_by
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Phase, Sighting

# Where nobody waits for a domain.
AT_REST = frozenset({Phase.RUNNING, Phase.STOPPED, Phase.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A member's failures by one cause: the latest, and when each was that it was charged for."""

    last: Sighting
    charged: tuple[float, ...]


Seens = dict[str, Seen]


def note(seens: Seens, id_: str, fault: Sighting, *, since_s: float, charged: bool) -> None:
    """Add a member's latest failure at the end; what it was charged before `since_s` is its own."""
    earlier = seens.pop(id_, None)
    times = tuple(at_s for at_s in earlier.charged if at_s >= since_s) if earlier else ()
    seens[id_] = Seen(last=fault, charged=(*times, fault.at_s) if charged else times)


@dataclass(slots=True, kw_only=True, eq=False)
class Domain:
    """One domain and its members, by id; the dictionaries are in the order of what happened.

    running: those that are proven. sightings: by cause, who failed within the window and has not
        been proven since. vetoes: by cause, who ran on when the domain was suspected of it, and
        still does. incidents: how many it has had.
    opened: the place of its incident among all that were ever opened or opened again.
    waiting, coming: the incident's queue: who is parked, and who is still being torn down.
    involved: whom the incident has parked so far; let_go: who proved its end, and whom its ramp has
        let go; returning: those of them that are coming up, and until when they are waited for;
        relapsed: those that failed again.
    """

    name: str
    members: dict[str, None] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    sightings: dict[Cause, Seens] = field(default_factory=dict)
    vetoes: dict[Cause, str] = field(default_factory=dict)
    incidents: int = 0
    incident: Incident | None = None
    opened: int = 0
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)
    coming: dict[str, None] = field(default_factory=dict)
    involved: dict[str, None] = field(default_factory=dict)
    let_go: dict[str, None] = field(default_factory=dict)
    returning: dict[str, float] = field(default_factory=dict)
    relapsed: Seens = field(default_factory=dict)
    shared: frozenset[Cause] = field(init=False)

    def __post_init__(self) -> None:
        self.shared = shared_by(self.name)

    @property
    def queued(self) -> int:
        """How many wait in the queue."""
        return len(self.waiting) + len(self.coming)

    def forget(self, id_: str) -> None:
        """A member is a member no longer; it had been stopped before."""
        for ids in (self.members, self.involved, self.let_go):
            ids.pop(id_, None)
        for seens in (self.relapsed, *self.sightings.values()):
            seens.pop(id_, None)

    def queues(self, id_: str) -> bool:
        """Tell whether a member waits in the queue."""
        return id_ in self.waiting or id_ in self.coming

    def blocks(self, id_: str) -> bool:
        """Tell whether the incident, which there has to be, keeps a member from starting."""
        assert self.incident is not None
        if self.incident.closed:
            return id_ != self.incident.probe
        return self.queues(id_)

    def runs(self, id_: str) -> None:
        """A member is proven: what it failed by before is over."""
        self.running[id_] = None
        for seens in self.sightings.values():
            seens.pop(id_, None)

    def runs_no_more(self, id_: str) -> None:
        """A member is proven no longer, and vetoes nothing any more."""
        self.running.pop(id_, None)
        if self.vetoes and id_ in self.vetoes.values():
            self.vetoes = {cause: by for cause, by in self.vetoes.items() if by != id_}

    def sighted(self, id_: str, fault: Sighting, *, window_s: float, charged: bool) -> int:
        """Note a failure of a member; return how many members failed so within the window."""
        seens = self.sightings.setdefault(fault.rule.cause, {})
        since_s = fault.at_s - window_s
        note(seens, id_, fault, since_s=since_s, charged=charged)
        while seens[oldest := next(iter(seens))].last.at_s < since_s:
            del seens[oldest]
        return len(seens)

    def given_back(self, id_: str) -> None:
        """A member's charges were given back, once and for all."""
        for seens in (*self.sightings.values(), self.relapsed):
            if id_ in seens:
                seens[id_] = Seen(last=seens[id_].last, charged=())

    def joins(self, id_: str, *, parked: bool) -> None:
        """A member waits in the queue: at its end, when it is parked."""
        if parked:
            self.coming.pop(id_, None)
            self.waiting[id_] = None
        else:
            self.coming[id_] = None
        self.involved[id_] = None

    def leaves(self, id_: str) -> None:
        """A member waits in the queue no longer."""
        self.waiting.pop(id_, None)
        self.coming.pop(id_, None)

    def closes(self) -> None:
        """Forget the incident and all that belongs to it."""
        self.incident = None
        for part in (self.waiting, self.coming, self.involved):
            part.clear()
        self.stays()

    def stays(self) -> None:
        """Nobody comes back any more: forget who did."""
        self.let_go.clear()
        self.returning.clear()
        self.relapsed.clear()


def incident_of(domain: Domain) -> Incident:
    """Return the incident that a domain under way has."""
    assert domain.incident is not None
    return domain.incident


def known(domain: Domain) -> Incident:
    """Return the incident that a domain under way has, with all whom it has parked by now."""
    return replace(
        incident_of(domain),
        members=len(domain.involved),
        some=tuple(islice(domain.involved, SHOWN)),
        waiting=domain.queued,
    )
