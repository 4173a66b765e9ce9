"""Worlds of failing components that answer late, twice or never, with checks on all decisions."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from stream_manager.recovery import (
    UP,
    Admitted,
    Backoff,
    Budget,
    Decision,
    Due,
    Event,
    Failed,
    Fault,
    Gone,
    Held,
    Incident,
    IncidentPolicy,
    IncidentState,
    IncidentStep,
    Phase,
    Proved,
    Record,
    RecoveryManager,
    RecoveryPolicy,
    Reset,
    Restart,
    Spec,
    Start,
    Started,
    Stop,
    Wanted,
    exit_fault,
)

EAGER = RecoveryPolicy(
    backoff=Backoff(base_s=0.5, factor=2.0, cap_s=30.0, jitter="equal"), budget=Budget(restarts=3)
)
POLICIES = (
    EAGER,
    replace(EAGER, budget=Budget(restarts=1)),
    replace(EAGER, give_up_after_attempts=1, probe_every_s=5.0),
    replace(EAGER, give_up_after_s=20.0, stable_for_s=5.0),
    replace(EAGER, budget=Budget(restarts=1), give_up_after_attempts=2, enforce=False),
    replace(EAGER, backoff=Backoff(jitter="decorrelated"), start_deadline_s=2.0),
)
FAULTS = (
    exit_fault(-11),
    exit_fault(2),
    Fault(origin="connect", code="ECONNREFUSED"),
    Fault(origin="h264parse", code="gst-stream-error:7"),
    Fault(origin="filesink", code="gst-resource-error:14"),
    Fault(origin="rtspsrc", code="gst-resource-error:15", status=401),
    Fault(origin="health", code="stall"),
    Fault(origin="process", code="SIGKILL:oom"),
    Fault(origin="mystery", code="never seen"),
)
POLICY = IncidentPolicy()
DELAYS_S = (0.01, 0.3, 1.0, 4.0, 16.0, 60.0, 300.0)
# What waits for an answer, or for its time, always has a timer.
TIMED = frozenset(
    {Phase.STARTING, Phase.TEARING_DOWN, Phase.BACKING_OFF, Phase.STOPPING},
)

# What may happen, each as often as it stands here.
HAPPENINGS = (
    *("start", "prove", "end", "good", "good", "fail", "fail", "fail", "pass", "pass", "pass"),
    *("never", "again", "up", "down", "change", "restart", "reset", "stale", "race"),
)
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 5), st.integers(0, 41)),
    min_size=30,
    max_size=80,
)


def stream(name: str, policy: RecoveryPolicy) -> list[Spec]:
    """Give a stream's components as the product builds them."""
    worker, source = name, f"{name}/source"
    return [
        Spec(id=worker, policy=policy, proven_by=source),
        Spec(id=source, policy=policy, parent=worker, needs=(worker,), inside=True),
        Spec(
            id=f"{name}/record", policy=policy, parent=worker, needs=(worker, source), inside=True
        ),
    ]


def sites(number: int, policy: RecoveryPolicy) -> list[Spec]:
    """Give two hosts of one subnet, a volume across them, and a component with a part."""
    a, b, subnet = "host:a", "host:b", "subnet:s"
    specs = [
        Spec(id=f"a{it}", policy=policy, domains=(a, subnet, "node")) for it in range(3 + number)
    ]
    specs += [Spec(id=f"b{it}", policy=policy, domains=(b, subnet, "node")) for it in range(3)]
    specs += [Spec(id=f"v{it}", policy=policy, domains=("volume:v", a)) for it in range(2)]
    specs += [Spec(id=f"w{it}", policy=policy, domains=(b, "volume:v")) for it in range(2)]
    specs.append(Spec(id="worker", policy=policy, domains=("node",), proven_by="worker/source"))
    part = Spec(
        id="worker/source",
        policy=policy,
        parent="worker",
        needs=("worker",),
        inside=True,
        domains=(a,),
    )
    return [*specs, part]


class World:
    """Components that answer late, twice or never, and checks on all that recovery decides."""

    def __init__(
        self,
        specs: list[Spec],
        chance: Callable[[], float],
        incidents: IncidentPolicy = POLICY,
    ) -> None:
        self.manager = RecoveryManager(chance=chance, incidents=incidents)
        self.enforce = incidents.enforce
        self.incidents: dict[str, Incident] = {}
        self.steps: list[IncidentStep] = []
        self.batches: dict[str, tuple[float, int]] = {}
        self.now_s = 0.0
        self.heard: list[tuple[float, Event]] = []
        self.starting: dict[str, int] = {}
        self.built: dict[str, int] = {}
        self.ending: dict[str, int] = {}
        self.newest = {spec.id: 0 for spec in specs}
        self.ids = list(self.newest)
        for spec in specs:
            self.manager.add(spec)
            self.hear(Wanted(id=spec.id, up=True, digest="0"))

    def hear(self, event: Event) -> None:
        """Say one thing to the manager, and check everything that follows."""
        self.heard.append((self.now_s, event))
        phases = {id_: record.phase for id_, record in self.manager.records.items()}
        for decision in self.manager.handle(event, self.now_s):
            if isinstance(decision, IncidentStep):
                self._check_incident(decision)
                continue
            id_ = decision.id
            assert decision.before.phase is phases[id_]
            phases[id_] = decision.after.phase
            self._check(decision, phases)
            for action in decision.actions:
                self._begin(action)
        for record in self.manager.records.values():
            self._has_a_next_step(record)
        known = {name: (it.state, it.due_s) for name, it in self.incidents.items()}
        assert known == {name: (it.state, it.due_s) for name, it in self.manager.incidents.items()}

    def play(self, step: Step) -> None:
        """Let one thing happen: an answer, a mishap, or a command."""
        what, who, number = step
        id_ = self.ids[who % len(self.ids)]
        fault = FAULTS[number % len(FAULTS)]
        match what:
            case "good":
                self._answers_all()
            case "pass":
                self.passes(DELAYS_S[number % len(DELAYS_S)])
            case "race":
                self._race(id_, fault)
            case "fail" if id_ in self.starting or id_ in self.built:
                self.hear(Failed(id=id_, epoch=self.newest[id_], fault=fault))
            case "stale":
                self._repeats_itself(id_, fault)
            case "up" | "down" | "change" | "restart" | "reset":
                self._is_told(what, id_, number)
            case _:
                self._answers(what, id_)

    def _answers(self, what: str, id_: str) -> None:
        if what == "start" and id_ in self.starting:
            self.built[id_] = self.starting.pop(id_)
            self.hear(Started(id=id_, epoch=self.built[id_]))
        elif what == "prove" and id_ in self.built:
            self.hear(Proved(id=id_, epoch=self.built[id_]))
        elif what == "end" and id_ in self.ending:
            self.hear(Gone(id=id_, epoch=self.ending.pop(id_)))
        elif what == "again" and id_ in self.ending:
            self.hear(Gone(id=id_, epoch=self.ending[id_]))
        elif what == "never":
            self.ending.pop(id_, None)

    def _answers_all(self) -> None:
        """Confirm every teardown, build every start and prove it."""
        for what in ("end", "start", "prove"):
            for id_ in self.ids:
                self._answers(what, id_)

    def _is_told(self, what: str, id_: str, number: int) -> None:
        match what:
            case "restart":
                self.hear(Restart(id=id_))
            case "reset":
                self.hear(Reset(id=id_))
            case _:
                digest = str(number % 3) if what == "change" else "0"
                self.hear(Wanted(id=id_, up=what != "down", digest=digest))

    def _repeats_itself(self, id_: str, fault: Fault) -> None:
        """Say again what the run before this one may have said."""
        epoch = self.newest[id_] - 1
        for kind in (Started, Proved, Gone):
            self.hear(kind(id=id_, epoch=epoch))
        self.hear(Failed(id=id_, epoch=epoch, fault=fault))

    def passes(self, delay_s: float) -> None:
        """Let time pass; each timer fires at its instant."""
        until_s = self.now_s + delay_s
        while (due_s := self.manager.next_due_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            for event in self.manager.due(self.now_s):
                self.hear(event)
        self.now_s = until_s

    def turns_good(self) -> None:
        """Answer everything at once from now on, for as long as the slowest timer takes."""
        end_s = self.now_s + 2000.0
        while self.now_s < end_s:
            self._answers_all()
            due_s = self.manager.next_due_s()
            self.passes(max(0.01, min(100.0, (due_s or end_s) - self.now_s)))

    def _race(self, id_: str, fault: Fault) -> None:
        """Let the next timers fire while their components are being decided upon."""
        due_s = self.manager.next_due_s()
        if due_s is None:
            return
        self.now_s = max(self.now_s, due_s)
        fired = list(self.manager.due(self.now_s))
        self.heard.append((self.now_s, Failed(id=id_, epoch=self.newest[id_], fault=fault)))
        for decision in self.manager.handle(self.heard[-1][1], self.now_s):
            if isinstance(decision, IncidentStep):
                self._check_incident(decision)
            for action in decision.actions:
                self._begin(action)
        for event in fired:
            self.hear(event)

    def _begin(self, action: Start | Stop) -> None:
        id_ = action.id
        if isinstance(action, Stop):
            self.ending[id_] = action.epoch
            self.starting.pop(id_, None)
            self.built.pop(id_, None)
            return
        assert action.epoch > self.newest[id_]
        self.newest[id_] = self.starting[id_] = action.epoch
        self.built.pop(id_, None)
        self.ending.pop(id_, None)

    def _check(self, decision: Decision, phases: dict[str, Phase]) -> None:
        before, after = decision.before, decision.after
        policy = after.spec.policy
        assert 0.0 <= after.delay_s <= policy.backoff.cap_s
        assert after.epoch - before.epoch in {0, 1}
        assert after.restarts_total >= before.restarts_total
        if isinstance(decision.event, Due):
            assert before.due_s is not None
            assert before.due_s <= self.now_s
        for action in decision.actions:
            if isinstance(action, Start):
                assert all(phases[need] in UP for need in after.spec.needs)
                waits = before.phase in {Phase.STARTING, Phase.VERIFYING, Phase.RUNNING}
                assert not waits
                for incident in self._around(after) if self.enforce else ():
                    assert not incident.closed or incident.probe == after.spec.id
        if isinstance(decision.event, Held | Admitted):
            assert not any(isinstance(action, Stop) for action in decision.actions)
            assert before.phase is not Phase.RUNNING
        if "domain" in decision.saw:
            # What a domain answers for is charged to nobody, and charges are given back once.
            assert after.attempts <= before.attempts
            assert len(after.charged) <= len(before.charged)
            assert after.same_faults <= before.same_faults
        # A slow probe that succeeds re-arms it, although its window may still be full.
        spent = self.now_s in after.charged and len(after.charged) > policy.budget.restarts
        if policy.enforce and spent:
            assert after.ended_by is not None or not after.wanted

    def _around(self, record: Record) -> list[Incident]:
        names = record.spec.domains
        return [self.incidents[name] for name in names if name in self.incidents]

    def _check_incident(self, step: IncidentStep) -> None:
        """Check one step, and remember the incident as it is after it."""
        domain, after = step.after.domain, step.after
        before = self.incidents.get(domain)
        assert (step.before and step.before.timeline) == (before and before.timeline)
        self.steps.append(step)
        assert self.enforce or step.tells == ()
        admitted = [tell for tell in step.tells if isinstance(tell, Admitted)]
        if step.rule == "incident-ramp" and admitted:
            last_s, nth = self.batches.get(domain, (-1.0, 0))
            if after.let_go == len(admitted):
                nth = 0
            else:
                assert self.now_s - last_s >= POLICY.ramp_step_s - 1e-9
            assert len(admitted) <= POLICY.batch(nth)
            self.batches[domain] = (self.now_s, nth + 1)
        elif step.rule == "incident-probe" and self.enforce:
            assert [tell.id for tell in admitted] == [after.probe]
        else:
            assert admitted == []
        if after.state is IncidentState.ENDED:
            del self.incidents[domain]
        else:
            self.incidents[domain] = after

    def _has_a_next_step(self, record: Record) -> None:
        """Nothing that is wanted is ever forgotten: it lives, has a timer, or waits for another."""
        assert record.wanted == (record.phase not in {Phase.STOPPED, Phase.STOPPING})
        if record.held_by is not None:
            assert record.phase in {Phase.PARKED, Phase.TEARING_DOWN}
            assert record.held_by in self.manager.incidents
        match record.phase:
            case Phase.PARKED:
                needs = [self.manager.records[need] for need in record.spec.needs]
                held = self.manager.incident_of(record.spec.id) is not None
                assert held or any(need.phase not in UP for need in needs)
            case Phase.VERIFYING:
                assert record.due_s is not None or record.spec.proven_by is not None
            case Phase.FAILED:
                assert record.ended_by is not None
                assert record.due_s is not None or (record.last and not record.last.rule.probed)
            case phase:
                assert record.due_s is not None or phase not in TIMED


def no_timer_is_lost(manager: RecoveryManager) -> None:
    """Check that the earliest timer of all is the one that the manager will fire."""
    timers_s = [record.due_s for record in manager.records.values() if record.due_s is not None]
    for incident in manager.incidents.values():
        assert incident.due_s is not None
        timers_s.append(incident.due_s)
    assert manager.next_due_s() == min(timers_s, default=None)
