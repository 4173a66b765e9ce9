"""A recovery core on a clock that a test moves: events in, rules and actions out."""

from collections.abc import Callable, Sequence

from stream_manager.recovery import (
    Action,
    Decision,
    Event,
    Failed,
    Fault,
    Gone,
    IncidentPolicy,
    IncidentStep,
    Phase,
    Proved,
    Record,
    RecoveryManager,
    Reset,
    Restart,
    Rule,
    Spec,
    Start,
    Started,
    Wanted,
)


class Script:
    """Components that do what the test says, at the instant `now_s` (seconds from 0).

    Each event's method returns what was decided, in order, as "component: rule"
    or "domain: rule". Facts carry the
    component's present epoch unless `epoch` says otherwise. `actions` collects what the shell
    would do; `take` empties it. chance: draws from [0, 1), for jitter. incidents, rules: see the
    manager.
    """

    def __init__(
        self,
        *specs: Spec,
        chance: Callable[[], float] = lambda: 0.5,
        incidents: IncidentPolicy | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.manager = RecoveryManager(chance=chance, incidents=incidents, rules=rules)
        self.now_s = 0.0
        self.decisions: list[Decision] = []
        self.incident_steps: list[IncidentStep] = []
        self.actions: list[Action] = []
        for spec in specs:
            self.manager.add(spec)

    def __getitem__(self, id_: str) -> Record:
        """Return a component's record."""
        return self.manager.records[id_]

    def phase(self, id_: str) -> Phase:
        """Return where a component stands."""
        return self[id_].phase

    def phases(self) -> dict[str, Phase]:
        """Return where each component stands."""
        return {id_: record.phase for id_, record in self.manager.records.items()}

    def take(self) -> list[str]:
        """Return and forget the actions so far, for example "start front-door 3"."""
        taken = [
            f"{'start' if isinstance(action, Start) else 'stop'} {action.id} {action.epoch}"
            for action in self.actions
        ]
        self.actions.clear()
        return taken

    def handle(self, event: Event) -> list[str]:
        """Hand any event in."""
        decisions = self.manager.handle(event, self.now_s)
        self.decisions += [it for it in decisions if isinstance(it, Decision)]
        self.incident_steps += [it for it in decisions if isinstance(it, IncidentStep)]
        self.actions += [action for decision in decisions for action in decision.actions]
        return [f"{it.id}: {it.rule}" for it in decisions]

    def wants(self, id_: str, *, up: bool = True, digest: str = "as configured") -> list[str]:
        """Want a component up or down."""
        return self.handle(Wanted(id=id_, up=up, digest=digest))

    def restarts(self, id_: str) -> list[str]:
        """Command a restart."""
        return self.handle(Restart(id=id_))

    def resets(self, id_: str) -> list[str]:
        """Command a reset."""
        return self.handle(Reset(id=id_))

    def started(self, id_: str, *, epoch: int | None = None) -> list[str]:
        """Say that a component is built."""
        return self.handle(Started(id=id_, epoch=self._epoch(id_, epoch)))

    def proved(self, id_: str, *, epoch: int | None = None) -> list[str]:
        """Say that a component's media advances."""
        return self.handle(Proved(id=id_, epoch=self._epoch(id_, epoch)))

    def fails(self, id_: str, fault: Fault, *, epoch: int | None = None) -> list[str]:
        """Let a component fail."""
        return self.handle(Failed(id=id_, epoch=self._epoch(id_, epoch), fault=fault))

    def gone(self, id_: str, *, epoch: int | None = None, abandoned: bool = False) -> list[str]:
        """Confirm a teardown, or give it up."""
        return self.handle(Gone(id=id_, epoch=self._epoch(id_, epoch), abandoned=abandoned))

    def comes_up(self, id_: str) -> list[str]:
        """Let a component that is starting be built and proven."""
        return self.started(id_) + self.proved(id_)

    def breaks(self, id_: str, fault: Fault) -> list[str]:
        """Let a component fail and its teardown be confirmed at once."""
        return self.fails(id_, fault) + self.gone(id_)

    def passes(self, delay_s: float) -> list[str]:
        """Let time pass; timers fire at their own instants."""
        until_s = self.now_s + delay_s
        told: list[str] = []
        while (due_s := self.manager.next_due_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            for event in self.manager.due(self.now_s):
                told += self.handle(event)
        self.now_s = until_s
        return told

    def _epoch(self, id_: str, epoch: int | None) -> int:
        return self[id_].epoch if epoch is None else epoch
