"""Worlds of components that answer late, twice or never, on a clock that jumps."""

import json
from collections.abc import Callable, Iterable, Sequence
from random import Random

from tests.scenarios.calls import POLICIES as BREAKERS
from tests.scenarios.calls import Calls
from tests.scenarios.witness import Witness

from stream_manager.recovery import (
    BreakerPolicy,
    Decision,
    Event,
    Failed,
    Fault,
    Finished,
    Gone,
    IncidentPolicy,
    IncidentStep,
    Phase,
    Proved,
    RecoveryManager,
    Spec,
    Start,
    Started,
    Wanted,
    revive,
    save,
)

POLICY = IncidentPolicy()
DELAYS_S = (0.01, 0.3, 1.0, 4.0, 16.0, 60.0, 300.0)
BOOTED_S = 20.0  # when the manager begins after a boot
PATIENCE_S = 2000.0

Decided = Decision | IncidentStep


class World:
    """Components that answer late, twice or never; a witness checks all that recovery decides.

    present: how many of `specs` are there from the beginning; the others may join. calls: the
    policy of the breaker that they call through.
    """

    def __init__(
        self,
        specs: list[Spec],
        chance: Callable[[], float],
        incidents: IncidentPolicy = POLICY,
        *,
        present: int | None = None,
        calls: BreakerPolicy = BREAKERS[0],
    ) -> None:
        self.chance = chance
        self.policy = incidents
        self.now_s = 0.0
        self.manager = RecoveryManager(chance=chance, incidents=incidents)
        self.witness = Witness(self.manager, incidents)
        self.calls = Calls(calls, chance, self.now_s)
        self.heard: list[tuple[float, Event, Sequence[Decided]]] = []
        self.starting: dict[str, int] = {}
        self.built: dict[str, int] = {}
        self.proven: set[str] = set()
        self.ending: dict[str, int] = {}
        self.broken: dict[str, Fault] = {}  # by domain
        self.ids: list[str] = []
        self.away = list(specs)
        for _ in range(len(specs) if present is None else present):
            self.joins(0)

    def hear(self, event: Event) -> None:
        """Say one thing to the manager, and do what it decides."""
        steps = self.manager.handle(event, self.now_s)
        self.heard.append((self.now_s, event, steps))
        self.witness.saw(event, steps, self.now_s)
        for step in steps:
            for action in step.actions:
                id_ = action.id
                self.proven.discard(id_)
                for answers in (self.starting, self.built, self.ending):
                    answers.pop(id_, None)
                answers = self.starting if isinstance(action, Start) else self.ending
                answers[id_] = action.epoch

    def epoch(self, id_: str) -> int:
        """Return the epoch of a component's latest run; 0 before any."""
        return self.witness.epochs.get(id_, 0)

    # --- answers ---------------------------------------------------------------------------------

    def answers_all(self) -> None:
        """Confirm every teardown, build every start and prove it."""
        for what in ("end", "start", "prove"):
            for id_ in self.ids:
                self.answers(what, id_)

    def answers(self, what: str, id_: str) -> None:
        """Let a component say what it was asked for, if it was."""
        trouble = self._trouble(id_)
        if what == "start" and id_ in self.starting:
            if trouble is not None:
                self.hear(Failed(id=id_, epoch=self.epoch(id_), fault=trouble))
                return
            self.built[id_] = self.starting.pop(id_)
            self.hear(Started(id=id_, epoch=self.built[id_]))
        elif what == "prove" and id_ in self.built.keys() - self.proven and trouble is None:
            self.proven.add(id_)
            self.hear(Proved(id=id_, epoch=self.built[id_]))
        elif what == "finish" and id_ in self.built:
            self.hear(Finished(id=id_, epoch=self.built[id_]))
        elif what == "end" and id_ in self.ending:
            epoch = self.ending.pop(id_)
            self.hear(Gone(id=id_, epoch=epoch, abandoned=epoch % 4 == 0))
        elif what == "again" and id_ in self.ending:
            self.hear(Gone(id=id_, epoch=self.ending[id_]))
        elif what == "never":
            self.ending.pop(id_, None)

    def _trouble(self, id_: str) -> Fault | None:
        if not self.broken:
            return None
        domains = self.manager.records[id_].spec.domains
        return next((self.broken[it] for it in domains if it in self.broken), None)

    def says_anything(self, id_: str, epoch: int, fault: Fault) -> None:
        """Say what a run that is over, or on its way, may say still: it changes nothing."""
        facts: list[Event] = [kind(id=id_, epoch=epoch) for kind in (Started, Proved, Finished)]
        facts.append(Failed(id=id_, epoch=epoch, fault=fault))
        if id_ not in self.ending:
            facts.append(Gone(id=id_, epoch=epoch))
        before = dict(self.manager.records)
        for fact in facts:
            self.hear(fact)
        assert before == self.manager.records, "what comes too late changes nothing"

    def suffers(self, domain: str, fault: Fault, *, each_s: float) -> None:
        """Let a domain break until it is mended: its members fail, one after the other."""
        self.broken[domain] = fault
        for id_ in self.ids:
            alive = id_ in self.built or id_ in self.starting
            if alive and domain in self.manager.records[id_].spec.domains:
                self.hear(Failed(id=id_, epoch=self.epoch(id_), fault=fault))
                self.passes(each_s)

    def relapses(self) -> None:
        """Let all be mended until the first have come back, and break again."""
        broken, self.broken = self.broken, {}
        for _ in range(6):
            self.passes(1.1)
            if any(it.let_go > 1 for it in self.manager.incidents.values()):
                break
            self.answers_all()
        for domain, fault in broken.items():
            self.suffers(domain, fault, each_s=0.0)

    # --- time ------------------------------------------------------------------------------------

    def passes(self, delay_s: float, *, at_once: bool = False) -> None:
        """Let time pass; each timer fires at its instant, or late, `at_once` at the end."""
        until_s = self.now_s + delay_s
        fired = 0
        while (due_s := self.manager.next_due_s()) is not None and due_s <= until_s:
            self.now_s = until_s if at_once else max(self.now_s, due_s)
            for event in self.manager.due(self.now_s):
                self.hear(event)
                fired += 1
                assert fired < 10_000, "time goes on"
        self.now_s = until_s

    def is_deaf(self, late_s: float) -> None:
        """Let the manager hear nobody for a while; it knows that, and excuses as much time."""
        self.now_s += late_s
        for event in self.manager.deaf(late_s):
            self.hear(event)
        self.passes(0.0)

    def races(self, id_: str, fault: Fault) -> None:
        """Let the next timers fire while another fact is being decided upon."""
        due_s = self.manager.next_due_s()
        if due_s is None:
            return
        self.now_s = max(self.now_s, due_s)
        fired = list(self.manager.due(self.now_s))
        self.hear(Failed(id=id_, epoch=self.epoch(id_), fault=fault))
        for event in fired:
            self.hear(event)

    # --- the manager -----------------------------------------------------------------------------

    def crashes(self, number: int) -> None:
        """Let another manager go on from what is saved: in this boot, or long or never after it."""
        saved = {id_: json.dumps(save(it)) for id_, it in self.manager.records.items()}
        specs = [it.spec for it in self.manager.records.values()]
        next_boot, ended_s, since_s = number % 3 == 0, self.now_s, DELAYS_S[number % len(DELAYS_S)]
        if next_boot:
            # The wall clock tells how long ago that was; it may have been set meanwhile.
            since_s = (5.0, 600.0, -86400.0, 10 * 86400.0)[number % 4]
        self.now_s = BOOTED_S if next_boot else ended_s + since_s
        moved_s = self.now_s - ended_s - since_s if next_boot else 0.0
        self.calls.crashes(now_s=ended_s, later_s=self.now_s, elapsed_s=max(0.0, since_s))
        self.manager = RecoveryManager(chance=self.chance, incidents=self.policy)
        for answers in (self.starting, self.built, self.ending, self.proven):
            answers.clear()
        for spec in specs:
            self.manager.add(spec, epoch=self.epoch(spec.id))
            state = json.loads(saved[spec.id])
            record = revive(spec, state, now_s=self.now_s, moved_s=moved_s)
            self.manager.resume(record)
        self.witness.meets(self.manager, next_boot=next_boot)

    def joins(self, place: int) -> None:
        """Take in one of those that are away, if what it needs is there, and want it."""
        for spec in self.away[place % len(self.away) :] if self.away else ():
            if all(need in self.ids for need in spec.needs):
                self.away.remove(spec)
                self.ids.append(spec.id)
                self.manager.add(spec, epoch=self.epoch(spec.id))
                self.witness.joined(spec.id)
                self.hear(Wanted(id=spec.id, up=True, digest="0"))
                return

    def leaves(self, id_: str) -> None:
        """Stop a component on which nothing stands, and take it out once it is."""
        records = self.manager.records
        if len(self.ids) == 1 or any(id_ in it.spec.needs for it in records.values()):
            return
        self.hear(Wanted(id=id_, up=False, digest="0"))
        self.answers("end", id_)
        if records[id_].phase is not Phase.STOPPED:
            return
        self.away.append(records[id_].spec)
        self.manager.remove(id_)
        self.witness.left(id_)
        self.ids.remove(id_)
        for answers in (self.starting, self.built):
            answers.pop(id_, None)

    # --- the end ---------------------------------------------------------------------------------

    def turns_good(self) -> None:
        """Answer everything at once from now on, until all have recovered that can."""
        self.broken.clear()
        self.calls.turn_good(self.now_s)
        end_s = self.now_s + PATIENCE_S
        while restless := list(self.restless()):
            assert self.now_s < end_s, f"all that can recover does: {', '.join(restless)}"
            self.answers_all()
            due_s = self.manager.next_due_s()
            self.passes(max(0.01, min(100.0, (due_s or end_s) - self.now_s)))
            self.witness.looks_around()

    def restless(self) -> Iterable[str]:
        """Yield who is not where it has to end in a good world, and domains with an incident."""
        yield from self.manager.incidents
        records = self.manager.records
        for id_, record in records.items():
            spec = record.spec
            match record.phase:
                case Phase.RUNNING | Phase.STOPPED:
                    continue
                case Phase.VERIFYING if spec.proven_by is not None:
                    prover = records.get(spec.proven_by)
                    if prover is None or prover.phase is not Phase.RUNNING:
                        continue
                case Phase.PARKED if record.held_by is None and self.witness.kin.waits(spec):
                    continue
                case Phase.FAILED if record.due_s is None or self.witness.kin.waits(spec):
                    continue
            yield f"{id_} is {record.phase.value}"

    def stops(self, chance: Random) -> None:
        """Want nobody any more, in any order; whether anybody answers or not, all of it ends."""
        answering = chance.random() < 0.5
        for id_ in chance.sample(self.ids, len(self.ids)):
            self.hear(Wanted(id=id_, up=False, digest="0"))
            if answering:
                self.answers("end", id_)
        self.passes(sum(2 * it.spec.policy.teardown_s for it in self.manager.records.values()))
        left = [id_ for id_, it in self.manager.records.items() if it.phase is not Phase.STOPPED]
        assert not left, f"an ordered stop ends: {', '.join(left)}"
        assert self.manager.next_due_s() is None, "nothing is waited for any more"
