"""Who stands on whom: which components go down with another, in which order, and come up again.

- What needs a component goes down with it. What runs inside its parent has ended with it; anything
  else is torn down for itself, and only then what it stood on.
- Children go down in the reverse order of their start, one after another, each within its own time.
- By its strategy a failure takes siblings along. They come back in the order of their start, once
  all are down and the wait of the one that failed is over.
- What went down with another is charged nothing, also where it failed by that before it was told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stream_manager.errors import UsageError
from stream_manager.recovery.states import (
    ALIVE,
    UP,
    Decision,
    Due,
    Escalated,
    Event,
    Failed,
    Finished,
    Lifted,
    Lost,
    Phase,
    Record,
    Reset,
    Restart,
    RestartType,
    Spec,
    Strategy,
    Swept,
    Unburdened,
    Unproved,
    Vouched,
)

OWN_FAILURES = Failed | Finished | Due | Escalated
FALLING = frozenset({Phase.TEARING_DOWN, Phase.STOPPING, Phase.BACKING_OFF})


@dataclass(slots=True, kw_only=True)
class _Descent:
    """Children that go down one after another, the last of `left` first.

    initiator: the sibling by whose failure; None: their parent goes down, and there is no way back.
    """

    initiator: str | None
    left: dict[str, None]


class Tree:
    """The relations of all components. Reads `records`, and changes nothing in them."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self._dependents: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._places: dict[str, int] = {}  # of each child among its siblings
        self._burden: dict[str, int] = {}  # how many alive ones stand on it
        self._descents: dict[str, _Descent] = {}  # by parent

    def add(self, spec: Spec) -> None:
        """Take a component in. Raises UsageError for relations that can't be."""
        for need in spec.needs:
            if need not in self._records:
                raise UsageError(
                    f"component {spec.id!r} needs {need!r}, which does not exist: add that first"
                )
        if spec.parent is not None and spec.parent not in spec.needs:
            raise UsageError(f"component {spec.id!r} does not need its parent {spec.parent!r}")
        if spec.inside and spec.parent is None:
            raise UsageError(f"component {spec.id!r} is inside a parent, and names none")
        if spec.inside and self._strategy(spec) is not Strategy.ONE_FOR_ONE:
            raise UsageError(
                f"component {spec.id!r} is inside {spec.parent!r}, whose strategy is"
                f" {self._strategy(spec).value}: expected one_for_one"
            )
        for need in spec.needs:
            self._dependents.setdefault(need, []).append(spec.id)
        if spec.parent is not None:
            siblings = self._children.setdefault(spec.parent, [])
            self._places[spec.id] = len(siblings)
            siblings.append(spec.id)

    def remove(self, spec: Spec) -> None:
        """Forget a component. Raises UsageError if another one stands on it."""
        if self._dependents.get(spec.id):
            raise UsageError(
                f"component {spec.id!r} is still needed: remove what stands on it first"
            )
        for need in spec.needs:
            self._dependents[need].remove(spec.id)
        if spec.parent is not None:
            siblings = self._children[spec.parent]
            del siblings[self._places.pop(spec.id)]
            self._places |= {sibling: place for place, sibling in enumerate(siblings)}
            if (descent := self._descents.get(spec.parent)) is not None:
                descent.left.pop(spec.id, None)

    def awaits(self, spec: Spec) -> tuple[str, ...]:
        """Name what has to come before the component can start: needs, or a sibling's turn."""
        if not spec.needs:
            return ()
        if down := tuple(it for it in spec.needs if self._records[it].phase not in UP):
            return down
        if self._strategy(spec) is Strategy.ONE_FOR_ONE:
            return ()
        assert spec.parent is not None
        if (descent := self._descents.get(spec.parent)) is not None:
            going = (*descent.left, descent.initiator)
            return tuple(it for it in going if it not in {None, spec.id}) or (spec.parent,)
        before = self._nearest(spec, -1)
        return () if before is None or before.phase in UP else (before.spec.id,)

    def burdened(self, id_: str) -> bool:
        """Tell whether something that has to go down before it is alive."""
        return self._burden.get(id_, 0) > 0

    def collateral(self, event: Failed | Finished, record: Record) -> Event:
        """Return what a failure is: itself, or what another's failure has brought about."""
        spec = record.spec
        down = next((it for it in spec.needs if self._records[it].phase not in UP), None)
        if down is not None:
            return Lost(id=spec.id, by=down, cause=None)
        descent = self._descents.get(spec.parent or "")
        if descent is not None and descent.initiator is not None and spec.id in descent.left:
            return Swept(id=spec.id, by=descent.initiator)
        return event

    def consequences(self, decision: Decision) -> Iterator[Event]:
        """Yield what this component's new phase means to the others. Its record is the new one."""
        before, after = decision.before, decision.after
        spec, was, now = after.spec, before.phase, after.phase
        if was in UP and now not in UP:
            yield from self._fell(decision)
        if now in UP and was not in UP:
            self._descents.pop(spec.id, None)
            for other in self._dependents.get(spec.id, ()):
                yield Lifted(id=other, by=spec.id)
        if spec.parent is not None:
            yield from self._told_parent(spec, was, now)
            yield from self._told_siblings(decision)
        if not spec.inside and (was in ALIVE) is not (now in ALIVE):
            yield from self._weighed(spec, alive=now in ALIVE)
        if isinstance(decision.event, Restart | Reset):
            for child in self._children.get(spec.id, ()):
                yield Reset(id=child)

    # --- down ------------------------------------------------------------------------------------

    def _fell(self, decision: Decision) -> Iterator[Event]:
        """What needs it goes down: at once, but its children one after another."""
        id_ = decision.after.spec.id
        dependents = self._dependents.get(id_)
        if not dependents:
            return
        own = decision.after.last if isinstance(decision.event, Failed) else None
        cause = None if own is None else own.rule.cause
        for other in dependents:
            spec = self._records[other].spec
            if spec.inside or spec.parent != id_:
                yield Lost(id=other, by=id_, cause=cause)
        children = self._children.get(id_, ())
        left = {it: None for it in children if not self._records[it].spec.inside}
        if left:
            self._descents[id_] = _Descent(initiator=None, left=left)
            yield from self._descend(id_)

    def _swept(self, decision: Decision) -> Iterator[Event]:
        """By its parent's strategy, its failure takes siblings along."""
        spec = decision.after.spec
        assert spec.parent is not None
        rest = self._strategy(spec) is Strategy.REST_FOR_ONE
        first = self._places[spec.id] + 1 if rest else 0
        left = dict.fromkeys(self._children[spec.parent][first:])
        left.pop(spec.id, None)
        self._descents[spec.parent] = _Descent(initiator=spec.id, left=left)
        yield from self._descend(spec.parent)

    def _descend(self, parent: str) -> Iterator[Event]:
        """Tell the next child to go; when none is left, all that wait may come back in order."""
        descent = self._descents[parent]
        while descent.left:
            child = next(reversed(descent.left))
            if self._records[child].phase in ALIVE:
                yield self._farewell(child, parent, descent.initiator)
                return
            del descent.left[child]
        if descent.initiator is None:
            return
        initiator = self._records.get(descent.initiator)
        if initiator is not None and initiator.phase in FALLING:
            return
        del self._descents[parent]
        for child in self._children[parent]:
            yield Lifted(id=child, by=parent)

    def _farewell(self, child: str, parent: str, initiator: str | None) -> Event:
        if initiator is None:
            return Lost(id=child, by=parent, cause=None)
        return Swept(id=child, by=initiator)

    def _weighed(self, spec: Spec, *, alive: bool) -> Iterator[Event]:
        """Count it among what stands on its needs; they may go when it is the last."""
        for need in spec.needs:
            self._burden[need] = burden = self._burden.get(need, 0) + (1 if alive else -1)
            if not burden:
                yield Unburdened(id=need, by=spec.id)

    # --- up, and to the side ---------------------------------------------------------------------

    def _told_parent(self, spec: Spec, was: Phase, now: Phase) -> Iterator[Event]:
        assert spec.parent is not None
        if self._records[spec.parent].spec.proven_by == spec.id:
            if now is Phase.RUNNING and was is not Phase.RUNNING:
                yield Vouched(id=spec.parent, by=spec.id)
            elif was is Phase.RUNNING and now is not Phase.RUNNING:
                yield Unproved(id=spec.parent, by=spec.id)

    def _told_siblings(self, decision: Decision) -> Iterator[Event]:
        spec, now = decision.after.spec, decision.after.phase
        assert spec.parent is not None
        descent = self._descents.get(spec.parent)
        if descent is not None:
            yield from self._descend(spec.parent)
        if self._strategy(spec) is Strategy.ONE_FOR_ONE:
            return
        was = decision.before.phase
        failed = isinstance(decision.event, OWN_FAILURES) and was in UP | {Phase.STARTING}
        temporary = spec.restart is RestartType.TEMPORARY  # nobody goes down, or waits, for one
        # One that was started before those that go down already takes more of them along.
        wider = descent is None or descent.initiator is not None
        if failed and now is Phase.TEARING_DOWN and wider and not temporary:
            yield from self._swept(decision)
        rose = now in UP and was not in UP
        over = now is Phase.STOPPED or (now is Phase.FAILED and temporary)
        if rose or (over and was is not now):
            follower = self._nearest(spec, 1)
            if follower is not None:
                yield Lifted(id=follower.spec.id, by=spec.id)

    def _nearest(self, spec: Spec, step: int) -> Record | None:
        """Return the next sibling in one direction that is wanted, and can come up again."""
        assert spec.parent is not None
        children = self._children[spec.parent]
        at = self._places[spec.id] + step
        while 0 <= at < len(children):
            record = self._records[children[at]]
            over = record.phase is Phase.FAILED and record.spec.restart is RestartType.TEMPORARY
            if record.wanted and not over:
                return record
            at += step
        return None

    def _strategy(self, spec: Spec) -> Strategy:
        if spec.parent is None:
            return Strategy.ONE_FOR_ONE
        return self._records[spec.parent].spec.strategy
