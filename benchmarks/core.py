"""The recovery core by itself: what a fault costs, and what an outage that all share comes to.

No process and no network takes part. The costs are processor time; the outage is the real engine
on a clock that jumps from event to event, with components that answer as the constants below say.
"""

import heapq
import random
import time
from itertools import count

from benchmarks.figures import Figure, Subject, Tell, percentile
from stream_manager.recovery import (
    Action,
    Backoff,
    Event,
    Failed,
    Fault,
    Gone,
    Proved,
    RecoveryManager,
    RecoveryPolicy,
    Spec,
    Start,
    Started,
    Wanted,
)

HOST = "host:10.0.0.5"
DARK = Fault(origin="connect", code="ETIMEDOUT")
REFUSED = Fault(origin="connect", code="ECONNREFUSED")
# The outage: how long it lasts, and from its begin, within what time all have noticed.
LASTS_S, NOTICED_S = 30.0, 1.0
# A start is refused, or built and proven, after so long; a teardown takes so long.
REFUSED_S, BUILT_S, PROVEN_S, GONE_S = 0.05, 0.02, 0.1, 0.01
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, cap_s=10.0))
COSTED = (1_000, 10_000, 100_000)


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Measure the cost of a fault, of a mass failure, and play the outage of a site."""
    figures = []
    for components in COSTED[: 2 if quick else 3]:
        tell(f"core: faults among {components:,} components")
        for domains, kind in (((), "alone"), ((HOST, "node"), "with two domains")):
            name = f"one fault, {kind}, among {components:,}"
            samples = costs_us(components, domains)
            figures.append(Figure(name=name, unit="µs", samples=samples, median_at_most=20.0))
    tell("core: a mass failure of 10,000")
    masses = tuple(mass_s(10_000) for _ in range(3 if quick else 10))
    figures.append(
        Figure(name="mass failure of 10,000", unit="s", samples=masses, median_at_most=1.0)
    )
    outages = []
    for seed in range(5 if quick else 20):
        tell(f"core: site outage, seed {seed}")
        outages.append(Outage(1_000, seed=seed).play())
    attempts, late_s, bursts = zip(*outages, strict=True)
    figures += [
        Figure(name="site outage: attempts", unit="", samples=attempts, median_at_most=1_100),
        Figure(name="site outage: p99 recovery", unit="s", samples=late_s, median_at_most=3.0),
        Figure(name="site outage: most starts in 100 ms", unit="", samples=bursts, p99_at_most=200),
    ]
    played = (
        f"Site outage: 1,000 components of one host, backoff from 1 to 10 s, noticed within "
        f"{NOTICED_S:g} s, over after {LASTS_S:g} s; a start is refused after {REFUSED_S:g} s or "
        f"proven after {BUILT_S + PROVEN_S:g} s. The real engine on a simulated clock."
    )
    notes = (
        played,
        "Recovery counts from the end of the outage to the proof.",
    )
    return Subject(title="The recovery core", figures=tuple(figures), notes=notes)


def running(components: int, domains: tuple[str, ...], *, seed: int = 1) -> RecoveryManager:
    """Return a manager of so many components that are all proven."""
    manager = RecoveryManager(chance=random.Random(seed).random)
    for number in range(components):
        id_ = f"cam{number}"
        manager.add(Spec(id=id_, policy=POLICY, domains=domains))
        manager.handle(Wanted(id=id_, up=True, digest=""), 0.0)
        manager.handle(Started(id=id_, epoch=1), 0.0)
        manager.handle(Proved(id=id_, epoch=1), 0.0)
    return manager


def costs_us(components: int, domains: tuple[str, ...]) -> tuple[float, ...]:
    """Time faults that come one by one, too far apart to be an incident."""
    manager, samples = running(components, domains), []
    for number in range(1_000):
        event = Failed(id=f"cam{number}", epoch=1, fault=REFUSED)
        begin_ns = time.thread_time_ns()
        manager.handle(event, 100.0 + 10.0 * number)
        samples.append((time.thread_time_ns() - begin_ns) / 1_000)
    return tuple(samples)


def mass_s(components: int) -> float:
    """Time the decisions about a failure of all, from the first fault to the last parked."""
    manager = running(components, (HOST, "node"))
    faults = [Failed(id=f"cam{it}", epoch=1, fault=DARK) for it in range(components)]
    ends = [Gone(id=f"cam{it}", epoch=1) for it in range(components)]
    events: list[Event] = [*faults, *ends]
    begin_s = time.thread_time()
    for event in events:
        manager.handle(event, 100.0)
    return time.thread_time() - begin_s


class Outage:
    """One host goes dark and comes back; every component of it answers in its time."""

    def __init__(self, components: int, *, seed: int) -> None:
        chance = random.Random(seed)
        self._manager = running(components, (HOST, "node"), seed=seed)
        self._order = count()
        self._agenda: list[tuple[float, int, Event]] = []
        self._down_s = 100.0
        self._up_s = self._down_s + LASTS_S
        self._starts: list[float] = []
        self._recovered_s: dict[str, float] = {}
        for id_ in self._manager.records:
            fault = Failed(id=id_, epoch=1, fault=DARK)
            self._later(self._down_s + NOTICED_S * chance.random(), fault)

    def play(self) -> tuple[float, float, float]:
        """Return all attempts, the p99 of the recovery in seconds, and the worst 100 ms."""
        while len(self._recovered_s) < len(self._manager.records):
            due_s = self._manager.next_due_s()
            if self._agenda and (due_s is None or self._agenda[0][0] <= due_s):
                now_s, _, event = heapq.heappop(self._agenda)
                self._hand_in(event, now_s)
            elif due_s is not None:
                for timer in self._manager.due(due_s):
                    self._hand_in(timer, due_s)
        late_s = [at_s - self._up_s for at_s in self._recovered_s.values()]
        return len(self._starts), percentile(late_s, 0.99), self._worst()

    def _hand_in(self, event: Event, now_s: float) -> None:
        if isinstance(event, Proved) and now_s >= self._up_s:
            self._recovered_s.setdefault(event.id, now_s)
        for step in self._manager.handle(event, now_s):
            for action in step.actions:
                self._answer(action, now_s)

    def _answer(self, action: Action, now_s: float) -> None:
        id_, epoch = action.id, action.epoch
        if not isinstance(action, Start):
            self._later(now_s + GONE_S, Gone(id=id_, epoch=epoch))
            return
        self._starts.append(now_s)
        if now_s < self._up_s:
            self._later(now_s + REFUSED_S, Failed(id=id_, epoch=epoch, fault=REFUSED))
        else:
            self._later(now_s + BUILT_S, Started(id=id_, epoch=epoch))
            self._later(now_s + BUILT_S + PROVEN_S, Proved(id=id_, epoch=epoch))

    def _later(self, at_s: float, event: Event) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._order), event))

    def _worst(self) -> int:
        """Return the most starts in any 100 ms, its begin included and its end not."""
        worst = first = 0
        for last, at_s in enumerate(self._starts):
            while self._starts[first] <= at_s - 0.1 + 1e-9:
                first += 1
            worst = max(worst, last - first + 1)
        return worst
