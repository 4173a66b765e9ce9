"""What holds for components that stand on each other: who goes down and up, and in which order."""

from collections.abc import Mapping

from stream_manager.recovery import (
    UP,
    Decision,
    Due,
    Escalated,
    Failed,
    Finished,
    Phase,
    Record,
    RestartType,
    Spec,
    Strategy,
)
from stream_manager.recovery.states import ALIVE, Lost, Swept

OWN_FAILURES = Failed | Finished | Due | Escalated
FALLING = frozenset({Phase.TEARING_DOWN, Phase.STOPPING, Phase.BACKING_OFF})


class Kin:
    """The relations of all components; `records` is the witness's own, and read here."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self._sweeps: dict[str, set[str]] = {}  # who has still to go down, by parent

    def hold(self, step: Decision) -> None:
        """Follow who takes whom along; its record is the new one already."""
        spec, was, now = step.after.spec, step.before.phase, step.after.phase
        if now not in UP:
            self.forget(spec)
        if spec.parent is None or spec.inside or now is not Phase.TEARING_DOWN:
            return
        siblings = [it.spec.id for it in self._children(spec.parent)]
        younger = siblings[siblings.index(spec.id) + 1 :]
        if step.because is not None:
            self._goes_in_order(step, younger)
        strategy = self._records[spec.parent].spec.strategy
        failed = isinstance(step.event, OWN_FAILURES) and was in UP | {Phase.STARTING}
        failed = failed and spec.restart is not RestartType.TEMPORARY
        if failed and strategy is not Strategy.ONE_FOR_ONE and self._is_up(spec.parent):
            taken = younger if strategy is Strategy.REST_FOR_ONE else siblings
            self._sweeps.setdefault(spec.parent, set()).update(filter(self._is_up, taken))

    def _goes_in_order(self, step: Decision, younger: list[str]) -> None:
        """Check one that its parent or a sibling takes along."""
        match step.event:
            case Swept(by=by):
                pass
            case Lost(by=by) if by == step.after.spec.parent:
                pass
            case _:
                return
        records = [self._records[it] for it in younger]
        alive = {it.spec.id for it in records if it.phase in ALIVE and not it.spec.inside}
        assert alive <= {by}, "children go down in the reverse order of their start"

    def let_start(self, spec: Spec) -> None:
        """Check that a component may start."""
        assert all(map(self._is_up, spec.needs)), "what it needs is up"
        before = self._before(spec)
        assert before is None or before.phase in UP, "siblings come back in their order"
        assert not self._sweeps.get(spec.parent or ""), "siblings come back when all went down"

    def forget(self, spec: Spec) -> None:
        """A component is down, or removed."""
        self._sweeps.pop(spec.id, None)
        self._sweeps.get(spec.parent or "", set()).discard(spec.id)

    def waits(self, spec: Spec) -> bool:
        """Tell whether a component has to wait for another one."""
        if not all(map(self._is_up, spec.needs)):
            return True
        before = self._before(spec)
        if before is not None and before.phase not in UP:
            return True
        return any(it.phase in FALLING for it in self._ordered(spec))

    def standing_on(self, id_: str) -> list[Record]:
        """Return what has to be gone before a component may be torn down, and is not."""
        alive = [it for it in self._records.values() if it.phase in ALIVE]
        return [it for it in alive if id_ in it.spec.needs and not it.spec.inside]

    def _is_up(self, id_: str) -> bool:
        return self._records[id_].phase in UP

    def _children(self, parent: str) -> list[Record]:
        return [it for it in self._records.values() if it.spec.parent == parent]

    def _ordered(self, spec: Spec) -> list[Record]:
        """Return all children of its parent, itself included, if they come back in order."""
        if spec.parent is None:
            return []
        strategy = self._records[spec.parent].spec.strategy
        return [] if strategy is Strategy.ONE_FOR_ONE else self._children(spec.parent)

    def _before(self, spec: Spec) -> Record | None:
        """Return the wanted sibling that has to be up before it starts, or None."""
        before = None
        for record in self._ordered(spec):
            if record.spec.id == spec.id:
                break
            over = record.phase is Phase.FAILED and record.spec.restart is RestartType.TEMPORARY
            before = record if record.wanted and not over else before
        return before
