"""What holds for incidents, whatever their members do: checked step by step, from outside."""

from collections.abc import Mapping

from stream_manager.recovery import (
    Admitted,
    Incident,
    IncidentPolicy,
    IncidentState,
    IncidentStep,
    Reset,
    Restart,
    Wanted,
)

SUSPECTED, OPEN, RAMPING, ENDED = IncidentState
# All that the steps of an incident do to its state; docs/semantics.md shows the picture of it.
MOVES: Mapping[tuple[IncidentState | None, IncidentState], frozenset[str]] = {
    (None, SUSPECTED): frozenset({"opened"}),
    (None, OPEN): frozenset({"opened"}),
    (SUSPECTED, SUSPECTED): frozenset({"probe", "probe-over", "probe-postponed", "asked"}),
    (SUSPECTED, OPEN): frozenset({"confirmed"}),
    (SUSPECTED, RAMPING): frozenset({"vetoed"}),
    (SUSPECTED, ENDED): frozenset({"deserted", "taken-over"}),
    (OPEN, OPEN): frozenset({"probe", "probe-over", "probe-postponed", "asked"}),
    (OPEN, RAMPING): frozenset({"proved"}),
    (OPEN, ENDED): frozenset({"deserted", "taken-over"}),
    (RAMPING, RAMPING): frozenset({"ramp"}),
    (RAMPING, OPEN): frozenset({"reopened"}),
    (RAMPING, ENDED): frozenset({"resolved", "released", "taken-over"}),
}
COMMANDS = Wanted | Restart | Reset
EPSILON_S = 1e-6


class IncidentLaws:
    """Follows all incidents of one manager. An AssertionError names the law that was broken."""

    def __init__(self, policy: IncidentPolicy, under_way: Mapping[str, Incident]) -> None:
        self.policy = policy
        self.under_way = dict(under_way)
        self._batches: dict[str, tuple[float, int]] = {}  # when the ramp's last step was, and which
        self._probed_s: dict[str, float] = {}
        self._asked: set[str] = set()

    def hold(self, step: IncidentStep, now_s: float) -> None:
        """Check one step, and remember the incident as it is after it."""
        domain, after = step.id, step.after
        before = self.under_way.get(domain)
        assert (step.before and step.before.timeline) == (before and before.timeline), (
            "an incident changes by nothing but its steps"
        )
        allowed = MOVES.get((before.state if before else None, after.state), frozenset())
        assert step.rule.removeprefix("incident-") in allowed, "an incident keeps to its states"
        assert self.policy.enforce or step.tells == (), "a dry run tells nobody"
        admitted = [tell.id for tell in step.tells if isinstance(tell, Admitted)]
        match step.rule:
            case "incident-opened":
                enough = self.policy.enough(after.failed, after.running)
                assert enough or after.state is IncidentState.OPEN, "a few are no incident"
            case "incident-asked":
                self._asked.add(domain)
            case "incident-probe":
                self._probes(step, now_s)
                assert admitted == ([after.probe] if self.policy.enforce else []), "one tries"
            case "incident-ramp":
                self._ramps(after, len(admitted), now_s)
            case "incident-deserted":
                pass  # who waits for a need waits for that alone
            case _:
                assert admitted == [], "nobody is let go but by the ramp, and to probe"
        if after.state is IncidentState.ENDED:
            self._ends(domain)
        else:
            self.under_way[domain] = after

    def let_start(self, id_: str, domain: str) -> None:
        """Check that a domain lets a member start."""
        incident = self.under_way.get(domain)
        if incident is None or not incident.closed or not self.policy.enforce:
            return
        assert incident.probe == id_, "no attempt while its domain is down but the probe's"

    def _probes(self, step: IncidentStep, now_s: float) -> None:
        domain, policy = step.after.domain, self.policy
        assert step.before is not None
        assert step.before.probe is None, "one at a time probes"
        soonest_s = policy.probe_every_s * (1 - policy.probe_spread)
        last_s = self._probed_s.get(domain, -soonest_s)
        commanded = isinstance(step.event, COMMANDS) or domain in self._asked
        assert commanded or now_s - last_s >= soonest_s - EPSILON_S, "probes keep their pace"
        self._probed_s[domain] = now_s
        self._asked.discard(domain)

    def _ramps(self, after: Incident, number: int, now_s: float) -> None:
        if not number:
            return
        last_s, nth = self._batches.get(after.domain, (-1.0, 0))
        if after.let_go == number:
            nth = 0
        else:
            assert now_s - last_s >= self.policy.ramp_step_s - EPSILON_S, "a ramp has steps"
        most = min(self.policy.ramp_most, self.policy.ramp_first * 2**nth)
        assert number <= most, "no step of a ramp exceeds its cap"
        self._batches[after.domain] = (now_s, nth + 1)

    def _ends(self, domain: str) -> None:
        del self.under_way[domain]
        self._batches.pop(domain, None)
        self._probed_s.pop(domain, None)
        self._asked.discard(domain)
