"""The loop: the real engine, the world's answers, and a clock that jumps from one to the next.

It is the product's own loop without its waiting: what the world says goes to the manager, what the
manager wants done goes to the world, and timers fire at their instant. A seed settles everything:
the world's chance and the engine's are generators of their own.
"""

import gc
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from random import Random

from stream_manager.lab.storm.contenders import Contender
from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.scenarios import BEGINS_S, LASTS_S, Scenario
from stream_manager.lab.storm.world import SLOT_S, Trouble, World
from stream_manager.recovery import (
    UP,
    Decision,
    Event,
    Failed,
    Phase,
    RecoveryManager,
    Spec,
    Start,
    Wanted,
)

TOLD_EVERY = 500  # events
_NOTICE = UP | {Phase.STARTING}


def simulate(
    scenario: Scenario,
    contender: Contender,
    seed: int,
    *,
    tell: Callable[[float], None] = lambda _now_s: None,
) -> Figures:
    """Play a scenario to its end; `tell` hears the virtual clock now and then."""
    with _no_collector():
        return _Simulation(scenario, contender, seed).run(tell)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Look for no cycles: the engine makes none, and to search 100,000 records costs a sixth."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Simulation:
    def __init__(self, scenario: Scenario, contender: Contender, seed: int) -> None:
        self._scenario = scenario
        self._contender = contender
        self._manager = RecoveryManager(chance=_chance("engine", seed))
        self._world = World(
            components=scenario.components,
            doors=scenario.doors(),
            verify_for_s=contender.policy.verify_for_s,
            chance=_chance("world", seed),
        )
        # What will be, by its instant and then in the order in which it was settled. An int is
        # the number of a component that notices its trouble.
        self._pending: list[tuple[float, int, Event | Trouble | int]] = []
        self._settled = 0
        self._attempts = Counter[int]()
        self._recoveries_s: list[float] = []
        self._down: set[str] = set()  # who met a trouble that passes, and was not proved since
        self._given_up: set[str] = set()
        self._steps = 0

    def run(self, tell: Callable[[float], None]) -> Figures:
        """Start all, let the troubles come, and go on until nothing is left or the time is over."""
        self._begin()
        events, now_s = 0, 0.0
        while (next_s := self._next_s()) <= LASTS_S:
            now_s = next_s
            if self._pending and self._pending[0][0] <= now_s:
                self._happens(heapq.heappop(self._pending)[2], now_s)
            else:
                for due in self._manager.due(now_s):
                    self._hand(due, now_s)
            events += 1
            if events % TOLD_EVERY == 0:
                tell(now_s)
        return self._figures()

    def _begin(self) -> None:
        for member in range(self._scenario.components):
            domains = self._scenario.domains(member) if self._contender.domains else ()
            self._manager.add(Spec(id=str(member), policy=self._contender.policy, domains=domains))
        for trouble in self._scenario.troubles:
            self._settle(trouble.begins_s, trouble)
        for member in range(self._scenario.components):
            self._hand(Wanted(id=str(member), up=True, digest=""), 0.0)

    def _next_s(self) -> float:
        due_s = self._manager.next_due_s()
        pending_s = self._pending[0][0] if self._pending else inf
        return pending_s if due_s is None else min(due_s, pending_s)

    def _settle(self, at_s: float, what: Event | Trouble | int) -> None:
        self._settled += 1
        heapq.heappush(self._pending, (at_s, self._settled, what))

    def _happens(self, what: Event | Trouble | int, now_s: float) -> None:
        match what:
            case Trouble():
                for noticed_s, member in self._world.begin(what):
                    self._settle(noticed_s, member)
                if what.passes:
                    self._down.update(map(str, what.members))
            case int():
                self._notices(what, now_s)
            case _:
                self._hand(what, now_s)

    def _notices(self, member: int, now_s: float) -> None:
        record = self._manager.records[str(member)]
        trouble = self._world.trouble_of(member)
        assert trouble is not None
        if record.phase in _NOTICE:
            fault = Failed(id=record.spec.id, epoch=record.epoch, fault=trouble.fault)
            self._hand(fault, now_s)

    def _hand(self, event: Event, now_s: float) -> None:
        for step in self._manager.handle(event, now_s):
            self._steps += 1
            if isinstance(step, Decision):  # and not a step of an incident
                self._count(step, now_s)
            for action in step.actions:
                if isinstance(action, Start):
                    if now_s >= BEGINS_S:
                        self._attempts[int(now_s / SLOT_S)] += 1
                    for at_s, answer in self._world.start(action, now_s):
                        self._settle(at_s, answer)
                else:
                    self._settle(*self._world.stop(action, now_s))

    def _count(self, decision: Decision, now_s: float) -> None:
        id_, phase = decision.after.spec.id, decision.after.phase
        if phase is decision.before.phase or phase not in {Phase.RUNNING, Phase.FAILED}:
            return
        trouble = self._world.trouble_of(int(id_))
        if trouble is None or not trouble.passes:
            return
        if phase is Phase.FAILED:
            self._given_up.add(id_)
        elif now_s >= trouble.ends_s and id_ in self._down:
            self._down.remove(id_)
            self._recoveries_s.append(now_s - trouble.ends_s)

    def _figures(self) -> Figures:
        return Figures(
            name=self._contender.name,
            attempts=dict(self._attempts),
            recoveries_s=(*self._recoveries_s, *[inf] * len(self._down)),
            verify_for_s=self._contender.policy.verify_for_s,
            false_give_ups=len(self._given_up),
            decisions=self._steps,
        )


def _chance(whose: str, seed: int) -> Callable[[], float]:
    return Random(f"{whose} {seed}").random  # noqa: S311 - it simulates, it guards nothing
