"""A witness of all that recovery decides: it remembers in its own way, and holds it to the laws."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.scenarios.incident_laws import COMMANDS, EPSILON_S, IncidentLaws
from tests.scenarios.kin import Kin

from stream_manager.recovery import (
    Admitted,
    Decision,
    DomainDue,
    Due,
    Escalated,
    Event,
    FaultClass,
    Gone,
    Handover,
    Held,
    IncidentPolicy,
    IncidentStep,
    Phase,
    Proved,
    Record,
    RecoveryManager,
    RecoveryPolicy,
    Reset,
    Restart,
    RestartType,
    Start,
    Stop,
    Wanted,
)
from stream_manager.recovery.states import (
    Lifted,
    Lost,
    Swept,
    Unburdened,
    Unproved,
    Vouched,
)

# What others have brought about: it costs nothing.
COLLATERAL = Handover | Lifted | Lost | Swept | Unburdened | Unproved | Vouched | Held | Admitted
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
ENDING = frozenset({Phase.TEARING_DOWN, Phase.STOPPING})


class Witness:
    """Follows one world from outside. An AssertionError names the law that was broken."""

    def __init__(self, manager: RecoveryManager, policy: IncidentPolicy) -> None:
        self.rules: set[str] = set()
        self.records: dict[str, Record] = {}
        self.epochs: dict[str, int] = {}  # of the latest run of each component
        self._proven_s: dict[str, float] = {}
        self._not_before_s: dict[str, float] = {}
        self._windows: dict[str, list[float]] = {}
        self._policy = policy
        self.meets(manager)

    def meets(self, manager: RecoveryManager, *, next_boot: bool = False) -> None:
        """Follow a manager that takes over from the one before, with which all runs have ended."""
        self._manager = manager
        for id_, record in manager.records.items() if self.records else ():
            before = self.records[id_]
            assert record.attempts == before.attempts, "another manager forgives nothing"
            assert next_boot or record.charged == before.charged, "nor are charges forgotten"
            assert record.wanted is before.wanted, "nor does it start what was stopped"
        self.records = dict(manager.records)
        self.incidents = IncidentLaws(self._policy, manager.incidents)
        self._runs: dict[str, list[int]] = {}  # what may exist, with the epochs of what it needs
        self.kin = Kin(self.records)
        self._proven_s.clear()
        self._seq = 0
        if next_boot:  # instants of another boot are known roughly
            self._not_before_s.clear()
            self._windows.clear()

    def joined(self, id_: str) -> None:
        """Take a component in that is new."""
        self.records[id_] = self._manager.records[id_]

    def left(self, id_: str) -> None:
        """Forget a component that was removed; its epochs go on if it comes again."""
        memories: tuple[dict[str, Any], ...] = (self.records, self._proven_s, self._runs)
        self.kin.forget(self.records[id_].spec)
        for memory in (*memories, self._not_before_s, self._windows):
            memory.pop(id_, None)

    # --- one event -------------------------------------------------------------------------------

    def saw(self, event: Event, steps: Sequence[Decision | IncidentStep], now_s: float) -> None:
        """Check all that was decided about one event from outside."""
        epoch = getattr(event, "epoch", None)
        if epoch is not None and epoch != self.epochs.get(event.id, 0):
            assert not steps, "a fact of an old epoch changes nothing"
        first = self._seq + 1
        for step in steps:
            self._is_reasoned(step, first, now_s)
            if isinstance(step, IncidentStep):
                self.incidents.hold(step, now_s)
            else:
                self._decided(step, now_s)

    def _is_reasoned(self, step: Decision | IncidentStep, first: int, now_s: float) -> None:
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
        before, id_ = step.before, step.id
        assert before is self.records[id_], "nothing changes but by a decision"
        self.records[id_] = step.after
        if isinstance(step.event, Due):
            assert before.due_s is not None, "no timer fires that nobody waits for"
            assert before.due_s <= now_s, "no timer fires too early"
        self._is_timed(step.after, now_s)
        self._is_proven(step, now_s)
        self._is_charged(step, now_s)
        if isinstance(step.event, Gone) or (isinstance(step.event, Due) and before.phase in ENDING):
            self._runs.pop(id_, None)  # confirmed, or abandoned
        self.kin.hold(step)
        for action in step.actions:
            if isinstance(action, Start):
                self._starts(step, action, now_s)
            else:
                self._stops(step, action)

    def _is_timed(self, record: Record, now_s: float) -> None:
        if record.due_s is None:
            return
        assert record.phase in LONGEST_S, f"nothing has a timer while {record.phase.value}"
        longest_s = LONGEST_S[record.phase](record.spec.policy)
        assert record.due_s <= now_s + longest_s + EPSILON_S, "no timer exceeds its cap"

    def _is_proven(self, step: Decision, now_s: float) -> None:
        was, now = step.before.phase, step.after.phase
        if now is Phase.RUNNING and was is not now:
            assert isinstance(step.event, Proved | Vouched), "nothing but proof is recovery"
            self._proven_s[step.id] = now_s
        elif now is not Phase.RUNNING:
            self._proven_s.pop(step.id, None)

    # --- attempts, budget, wait ------------------------------------------------------------------

    def _is_charged(self, step: Decision, now_s: float) -> None:
        before, after, event, id_ = step.before, step.after, step.event, step.id
        more = after.attempts - before.attempts
        if isinstance(event, COLLATERAL):
            assert more <= 0, "what another has brought about costs no attempt"
            assert len(after.charged) <= len(before.charged), "nor is it charged"
            assert after.restarts_total == before.restarts_total, "nor is it counted"
        if more < 0 and not isinstance(event, COMMANDS | Held):
            assert step.rule == "stable", "attempts are forgiven by nothing but stable health"
            stable_s = self._proven_s[id_] + after.spec.policy.stable_for_s
            assert now_s >= stable_s - EPSILON_S, "nothing is forgiven too early"
        match event:
            case Wanted() | Restart() | Reset():
                self._not_before_s.pop(id_, None)
                if getattr(event, "up", True):
                    self._windows.pop(id_, None)
            case Admitted(at_once=True):
                self._not_before_s.pop(id_, None)
            case Held() if event.failures:
                window = self._windows.get(id_, [])
                window[:] = [at_s for at_s in window if at_s < event.since_s]
        if after.last is not None and after.last is not before.last:
            self._has_failed(step, now_s)

    def _has_failed(self, step: Decision, now_s: float) -> None:
        before, after, id_ = step.before, step.after, step.id
        policy = after.spec.policy
        assert after.last is not None
        rule = after.last.rule
        self._not_before_s.pop(id_, None)
        if "domain" in step.saw:
            assert after.attempts == before.attempts, "what a domain answers for is no attempt"
            assert after.charged == before.charged, "nor is it charged"
            return
        window = self._windows.setdefault(id_, [])
        if rule.charged:
            window[:] = [it for it in window if it >= now_s - policy.budget.within_s] + [now_s]
        if any(isinstance(tell, Escalated) for tell in step.tells):
            window.clear()  # its parent's next run is a new beginning
        elif after.afterwards is not Phase.FAILED:
            assert after.attempts == before.attempts + 1, "a failure costs an attempt"
            if rule.fault_class is not FaultClass.TRANSIENT:
                self._not_before_s[id_] = now_s + policy.backoff.shortest_s(before.attempts)
            if policy.enforce:
                spent = rule.charged and len(window) > policy.budget.restarts
                assert not spent, "no budget is exceeded"
                limit, used = policy.give_up_after_attempts, before.attempts - before.excused
                assert limit is None or used < limit, "no retry exceeds give_up_after"

    # --- actions ---------------------------------------------------------------------------------

    def _starts(self, step: Decision, start: Start, now_s: float) -> None:
        id_, spec = start.id, step.after.spec
        assert start.epoch == self.epochs.get(id_, 0) + 1, "each run has an epoch of its own"
        self.kin.let_start(spec)
        needs = [self.epochs[it] for it in spec.needs]
        ended = spec.inside and self._runs.get(id_) != needs
        assert ended or id_ not in self._runs, "no run begins before the one before is gone"
        self.epochs[id_], self._runs[id_] = start.epoch, needs
        soonest_s = self._not_before_s.get(id_, now_s)
        assert now_s >= soonest_s - EPSILON_S, "no attempt comes before its wait is over"
        for name in spec.domains:
            self.incidents.let_start(id_, name)

    def _stops(self, step: Decision, stop: Stop) -> None:
        assert not isinstance(step.event, Held | Admitted), "an incident stops nobody"
        assert not self.kin.standing_on(stop.id), "nothing is stopped under what stands on it"

    # --- between two events ----------------------------------------------------------------------

    def looks_around(self) -> None:
        """Check that nobody is forgotten, and that the earliest timer will fire."""
        known = {name: (it.state, it.due_s) for name, it in self.incidents.under_way.items()}
        present = {name: (it.state, it.due_s) for name, it in self._manager.incidents.items()}
        assert known == present, "an incident changes by nothing but its steps"
        timers_s = [it.due_s for it in self.records.values() if it.due_s is not None]
        for _, due_s in present.values():
            assert due_s is not None, "each incident has a next step"
            timers_s.append(due_s)
        assert self._manager.next_due_s() == min(timers_s, default=None), "no timer is lost"
        for id_, record in self._manager.records.items():
            assert record is self.records[id_], "nothing changes but by a decision"
            self._has_a_next_step(record)

    def _has_a_next_step(self, record: Record) -> None:
        """Check that what is wanted lives, has a timer, waits for another, or has FAILED."""
        phase, spec = record.phase, record.spec
        assert record.wanted is (phase not in {Phase.STOPPED, Phase.STOPPING}), "it is as wanted"
        if record.held_by is not None:
            assert phase in {Phase.PARKED, Phase.TEARING_DOWN}, "who is in a queue waits"
            assert record.held_by in self.incidents.under_way, "each queue has its incident"
        match phase:
            case Phase.PARKED:
                assert record.held_by or self.kin.waits(spec), "what is parked waits for something"
            case Phase.VERIFYING:
                assert record.due_s is not None or spec.proven_by, "a proof has its deadline"
            case Phase.RUNNING if record.attempts:
                stable_s = self._proven_s[spec.id] + spec.policy.stable_for_s
                due = record.due_s is not None and record.due_s <= stable_s + EPSILON_S
                assert due, "who is proven will be forgiven"
            case Phase.FAILED:
                assert record.ended_by is not None, "FAILED says why"
                uncurable = record.last is not None and not record.last.rule.probed
                temporary = spec.restart is RestartType.TEMPORARY
                assert uncurable or temporary or record.due_s is not None, "FAILED is probed"
            case Phase.TEARING_DOWN | Phase.STOPPING if record.due_s is None:
                assert self.kin.standing_on(spec.id), "each teardown ends"
            case Phase.STARTING | Phase.BACKING_OFF:
                assert record.due_s is not None, "nothing waits for ever"
