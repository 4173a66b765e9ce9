"""A witness of all that recovery decides: it remembers in its own way, and holds it to the laws."""

from collections.abc import Callable, Mapping, Sequence

from stream_manager.recovery import (
    UP,
    Admitted,
    Decision,
    DomainDue,
    Due,
    Escalated,
    Event,
    FaultClass,
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
    Stop,
    Strategy,
    Wanted,
)
from stream_manager.recovery.states import (
    ALIVE,
    Lifted,
    Lost,
    Swept,
    Unburdened,
    Unproved,
    Vouched,
)

# What only others have brought about: it costs nothing.
COLLATERAL = Lifted | Lost | Swept | Unburdened | Unproved | Vouched | Held | Admitted
COMMANDS = Wanted | Restart | Reset
# How long a timer may run at most, by the phase; the others have none.
LONGEST_S: Mapping[Phase, Callable[[RecoveryPolicy], float]] = {
    Phase.STARTING: lambda it: it.start_deadline_s,
    Phase.VERIFYING: lambda it: it.start_deadline_s,
    Phase.RUNNING: lambda it: it.stable_for_s,
    Phase.TEARING_DOWN: lambda it: 2 * it.teardown_s,
    Phase.BACKING_OFF: lambda it: it.backoff.cap_s,
    Phase.FAILED: lambda it: it.probe_every_s,
    Phase.STOPPING: lambda it: 2 * it.teardown_s,
}
# What waits for an answer, or for its time, always has a timer.
TIMED = frozenset({Phase.STARTING, Phase.TEARING_DOWN, Phase.BACKING_OFF, Phase.STOPPING})
EPSILON_S = 1e-6


class Witness:
    """Follows one world from outside. An AssertionError names the law that was broken."""

    def __init__(self, manager: RecoveryManager, policy: IncidentPolicy) -> None:
        self.policy = policy
        self.steps: list[IncidentStep] = []
        self.rules: set[str] = set()
        self.epochs: dict[str, int] = {}
        self._proven_s: dict[str, float] = {}
        self._not_before_s: dict[str, float] = {}
        self._windows: dict[str, list[float]] = {}
        self.meets(manager)

    def meets(self, manager: RecoveryManager, *, next_boot: bool = False) -> None:
        """Follow a manager that is new, and takes over from the one before; no run outlives it."""
        self.manager = manager
        self.records = dict(manager.records)
        self.incidents: dict[str, Incident] = {}
        self._runs: dict[str, list[int]] = {}  # what may exist, with the epochs of what it needs
        self._batches: dict[str, tuple[float, int]] = {}
        self._asked: set[str] = set()
        self._idle: set[str] = set()
        self._probed_s: dict[str, float] = {}
        self._proven_s.clear()
        self._seq = 0
        if next_boot:
            self._not_before_s.clear()
            self._windows.clear()

    def joined(self, id_: str) -> None:
        """A component is new, or resumed."""
        self.records[id_] = self.manager.records[id_]

    def left(self, id_: str) -> None:
        """A component was removed."""
        del self.records[id_]
        for memory in (self._proven_s, self._not_before_s, self._windows, self._runs):
            memory.pop(id_, None)

    # --- one event -------------------------------------------------------------------------------

    def saw(self, event: Event, steps: Sequence[Decision | IncidentStep], now_s: float) -> None:
        """Check what was decided about one event from outside."""
        epoch = getattr(event, "epoch", None)
        if epoch is not None and epoch != self.epochs.get(event.id, 0):
            assert not steps, "a fact of an old epoch changes nothing"
        first = self._seq + 1
        for step in steps:
            self._reasoned(step, first, now_s)
            if isinstance(step, IncidentStep):
                self._moved(step, now_s)
            else:
                self._decided(step, now_s)

    def _reasoned(self, step: Decision | IncidentStep, first: int, now_s: float) -> None:
        self._seq += 1
        self.rules.add(step.rule)
        assert step.seq == self._seq, "decisions are numbered without a gap"
        assert step.rule, "each decision has a rule"
        assert step.at_s == now_s, "each decision has its instant"
        if step.because is None:
            outside = step.seq == first or isinstance(step.event, DomainDue)
            assert outside, "each decision has a reason"
        else:
            assert first <= step.because < step.seq, "its reason is a decision before it"

    def _decided(self, step: Decision, now_s: float) -> None:
        before, after, id_ = step.before, step.after, step.id
        assert before is self.records[id_], "nothing changes but by a decision"
        self.records[id_] = after
        if isinstance(step.event, Due):
            assert before.due_s is not None, "no timer fires that nobody waits for"
            assert before.due_s <= now_s, "no timer fires too early"
        self._is_timed(after, now_s)
        self._is_proven(step, now_s)
        self._is_charged(step, now_s)
        if isinstance(step.event, Gone) or (
            isinstance(step.event, Due) and before.phase in {Phase.TEARING_DOWN, Phase.STOPPING}
        ):
            self._runs.pop(id_, None)
        for action in step.actions:
            if isinstance(action, Start):
                self._starts(step, action, now_s)
            else:
                self._stops(step, action)

    def _is_timed(self, record: Record, now_s: float) -> None:
        if record.due_s is None:
            return
        assert record.phase in LONGEST_S, f"no timer while {record.phase}"
        longest_s = LONGEST_S[record.phase](record.spec.policy)
        assert record.due_s <= now_s + longest_s + EPSILON_S, "no timer exceeds its cap"

    def _is_proven(self, step: Decision, now_s: float) -> None:
        was, now = step.before.phase, step.after.phase
        if now is Phase.RUNNING and was is not now:
            assert isinstance(step.event, Proved | Vouched), "nothing but proof is recovery"
            self._proven_s[step.id] = now_s
        elif now is not Phase.RUNNING:
            self._proven_s.pop(step.id, None)

    def _is_charged(self, step: Decision, now_s: float) -> None:
        """Follow the attempts, the budget and the wait of a component."""
        before, after, id_ = step.before, step.after, step.id
        policy = after.spec.policy
        more = after.attempts - before.attempts
        forgiving = isinstance(step.event, COMMANDS | Held)
        if more < 0 and not forgiving:
            assert step.rule == "stable", "attempts are forgiven for nothing but stable health"
            lasted_s = now_s - self._proven_s[id_]
            assert lasted_s >= policy.stable_for_s - EPSILON_S, "nothing is forgiven too early"
        if isinstance(step.event, COMMANDS):
            self._not_before_s.pop(id_, None)
            if getattr(step.event, "up", True):
                self._windows.pop(id_, None)
        elif isinstance(step.event, COLLATERAL):
            assert more <= 0, "what another has brought about costs no attempt"
            assert len(after.charged) <= len(before.charged), "nor is it charged"
            assert after.restarts_total == before.restarts_total, "nor counted"
        if isinstance(step.event, Held) and step.event.failures:
            since_s = step.event.since_s
            self._windows[id_] = [it for it in self._windows.get(id_, ()) if it < since_s]
        if isinstance(step.event, Admitted) and step.event.at_once:
            self._not_before_s.pop(id_, None)
        if after.last is not None and after.last is not before.last:
            self._failed(step, now_s)

    def _failed(self, step: Decision, now_s: float) -> None:
        before, after, id_ = step.before, step.after, step.id
        policy, last = after.spec.policy, after.last
        assert last is not None
        escalated = any(isinstance(tell, Escalated) for tell in step.tells)
        retried = after.afterwards is not Phase.FAILED and not escalated
        if "domain" in step.saw:
            assert after.attempts == before.attempts, "what a domain answers for is no attempt"
            assert after.charged == before.charged, "nor is it charged"
            self._not_before_s.pop(id_, None)
            return
        window = self._windows.setdefault(id_, [])
        if last.rule.charged:
            window[:] = [it for it in window if it >= now_s - policy.budget.within_s] + [now_s]
        if not retried:
            self._not_before_s.pop(id_, None)
            window[:] = [] if escalated else window
            return
        assert after.attempts == before.attempts + 1, "a failure costs an attempt"
        assert 0.0 <= after.delay_s <= policy.backoff.cap_s, "no wait exceeds the cap"
        if last.rule.fault_class is not FaultClass.TRANSIENT:
            self._not_before_s[id_] = now_s + policy.backoff.shortest_s(before.attempts)
        if policy.enforce:
            spent = last.rule.charged and len(window) > policy.budget.restarts
            assert not spent, "no budget is exceeded"
            limit = policy.give_up_after_attempts
            used = before.attempts - before.excused
            assert limit is None or used < limit, "no more retries than give_up_after allows"

    def _starts(self, step: Decision, start: Start, now_s: float) -> None:
        id_, spec = start.id, step.after.spec
        needs = [self.epochs[it] for it in spec.needs]
        assert start.epoch == self.epochs.get(id_, 0) + 1, "each run has an epoch of its own"
        ended = spec.inside and id_ in self._runs and self._runs[id_] != needs
        assert id_ not in self._runs or ended, "no run begins before the one before is gone"
        self.epochs[id_] = start.epoch
        self._runs[id_] = needs
        assert all(self.records[it].phase in UP for it in spec.needs), "it needs what is down"
        soonest_s = self._not_before_s.get(id_, 0.0)
        assert now_s >= soonest_s - EPSILON_S, "no attempt comes before its wait is over"
        before = self.before(spec)
        assert before is None or before.phase in UP, "siblings come back in their order"
        for name in spec.domains if self.policy.enforce else ():
            incident = self.incidents.get(name)
            alone = step.before.phase is Phase.FAILED and name in self._idle
            assert alone or incident is None or not incident.closed or incident.probe == id_, (
                "no attempt while its domain is down, but the probe's"
            )

    def _stops(self, step: Decision, stop: Stop) -> None:
        assert not isinstance(step.event, Held | Admitted), "an incident stops nobody"
        standing = [
            it
            for it in self.records.values()
            if stop.id in it.spec.needs and not it.spec.inside and it.phase in ALIVE
        ]
        assert not standing, "nothing is stopped under what stands on it"

    def before(self, spec: Spec) -> Record | None:
        """Return the wanted sibling that has to be up for it to start, or None."""
        if spec.parent is None:
            return None
        if self.records[spec.parent].spec.strategy is Strategy.ONE_FOR_ONE:
            return None
        siblings = [it for it in self.records.values() if it.spec.parent == spec.parent]
        ids = [it.spec.id for it in siblings]
        wanted = [it for it in siblings[: ids.index(spec.id)] if it.wanted]
        return wanted[-1] if wanted else None

    # --- incidents -------------------------------------------------------------------------------

    def _moved(self, step: IncidentStep, now_s: float) -> None:
        """Check one step of an incident, and remember it as it is after it."""
        domain, after = step.after.domain, step.after
        before = self.incidents.get(domain)
        assert (step.before and step.before.timeline) == (before and before.timeline), domain
        self.steps.append(step)
        assert self.policy.enforce or step.tells == (), "a dry run tells nobody"
        admitted = [tell.id for tell in step.tells if isinstance(tell, Admitted)]
        self._idle.discard(domain)
        match step.rule:
            case "incident-probe-postponed":
                self._idle.add(domain)
            case "incident-opened":
                enough = self.policy.enough(after.failed, after.running)
                assert enough or after.state is IncidentState.OPEN, "a few are no incident"
            case "incident-asked":
                self._asked.add(domain)
            case "incident-probe":
                self._probes(step, now_s)
                assert not self.policy.enforce or admitted == [after.probe], "one tries"
            case "incident-ramp":
                self._ramps(domain, len(admitted), after, now_s)
            case _:
                assert admitted == [], "nobody is let go but by the ramp, and to probe"
        if after.state is IncidentState.ENDED:
            del self.incidents[domain]
            for memory in (self._batches, self._probed_s):
                memory.pop(domain, None)
            self._asked.discard(domain)
        else:
            self.incidents[domain] = after

    def _probes(self, step: IncidentStep, now_s: float) -> None:
        domain, policy = step.after.domain, self.policy
        assert step.before is not None
        assert step.before.probe is None, "one at a time probes"
        commanded = isinstance(step.event, COMMANDS) or domain in self._asked
        soonest_s = policy.probe_every_s * (1 - policy.probe_spread)
        last_s = self._probed_s.get(domain, -soonest_s)
        assert commanded or now_s - last_s >= soonest_s - EPSILON_S, "probes keep their pace"
        self._probed_s[domain] = now_s
        self._asked.discard(domain)

    def _ramps(self, domain: str, number: int, after: Incident, now_s: float) -> None:
        if not number:
            return
        last_s, nth = self._batches.get(domain, (-1.0, 0))
        if after.let_go == number:
            nth = 0
        else:
            assert now_s - last_s >= self.policy.ramp_step_s - EPSILON_S, "the ramp has steps"
        assert number <= self.policy.batch(nth), "no step of the ramp exceeds its cap"
        self._batches[domain] = (now_s, nth + 1)

    # --- between two events ----------------------------------------------------------------------

    def looks_around(self, now_s: float) -> None:
        """Check that nobody is forgotten, and that the earliest timer will fire."""
        known = {name: (it.state, it.due_s) for name, it in self.incidents.items()}
        present = self.manager.incidents
        assert known == {name: (it.state, it.due_s) for name, it in present.items()}
        timers_s = [it.due_s for it in self.records.values() if it.due_s is not None]
        for incident in present.values():
            assert incident.due_s is not None, "each incident has a next step"
            timers_s.append(incident.due_s)
        assert self.manager.next_due_s() == min(timers_s, default=None), "no timer is lost"
        for id_, record in self.manager.records.items():
            assert record is self.records[id_], "nothing changes but by a decision"
            self._has_a_next_step(record, now_s)

    def _has_a_next_step(self, record: Record, now_s: float) -> None:
        """Check that what is wanted lives, has a timer, waits for another, or has FAILED."""
        phase, spec = record.phase, record.spec
        assert record.wanted == (phase not in {Phase.STOPPED, Phase.STOPPING}), "wanted, or not"
        if record.held_by is not None:
            assert phase in {Phase.PARKED, Phase.TEARING_DOWN}, "a queue holds who waits"
            assert record.held_by in self.incidents, "a queue is an incident's"
        match phase:
            case Phase.PARKED:
                assert self.waits(record), "what is parked waits for something"
            case Phase.VERIFYING:
                assert record.due_s is not None or spec.proven_by is not None, "a deadline"
            case Phase.RUNNING if record.attempts:
                assert record.due_s is not None, "what is proven is forgiven one day"
                stable_s = self._proven_s[spec.id] + spec.policy.stable_for_s
                assert record.due_s <= stable_s + EPSILON_S, "and not later than it was said"
            case Phase.FAILED:
                assert record.ended_by is not None, "FAILED says why"
                uncurable = record.last is not None and not record.last.rule.probed
                temporary = spec.restart.value == "temporary"
                assert record.due_s is not None or uncurable or temporary, "FAILED is probed"
            case Phase.TEARING_DOWN | Phase.STOPPING if record.due_s is None:
                alive = [it for it in self.records.values() if it.phase in ALIVE]
                standing = [it for it in alive if spec.id in it.spec.needs and not it.spec.inside]
                assert standing, "a teardown ends"
            case _:
                assert record.due_s is not None or phase not in TIMED, f"{phase} has no timer"

    def waits(self, record: Record) -> bool:
        """Tell whether something is down that a component waits for."""
        if record.held_by is not None:
            return True
        if any(self.records[it].phase not in UP for it in record.spec.needs):
            return True
        before = self.before(record.spec)
        descends = self._sweeping(record.spec)
        return (before is not None and before.phase not in UP) or descends

    def _sweeping(self, spec: Spec) -> bool:
        """Tell whether siblings still go down by the strategy of its parent."""
        if spec.parent is None:
            return False
        siblings = [it for it in self.records.values() if it.spec.parent == spec.parent]
        falling = {Phase.TEARING_DOWN, Phase.STOPPING, Phase.BACKING_OFF}
        strategy = self.records[spec.parent].spec.strategy
        return strategy is not Strategy.ONE_FOR_ONE and any(it.phase in falling for it in siblings)
