"""What components counted under earlier managers: saved with each decision, taken up at a start.

A manager that crashes, however often, so forgives its streams nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from stream_manager.clock import Clock
from stream_manager.recovery import Phase, Record, revive, save, was_ending
from stream_manager.recovery.checks import require_instants
from stream_manager.recovery.states import Sighting
from stream_manager.store import Store
from stream_manager.streams.processes import boot_id
from stream_manager.supervision import Supervisor

_DOWN = frozenset({Phase.FAILED, Phase.PARKED})

log = structlog.get_logger()


class Counters:
    """The saved records of components, in `store`."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._boot_id = boot_id()

    def save(self, record: Record) -> None:
        """Keep what a decision has led to."""
        self._store.save_counters(
            record.spec.id,
            {
                "record": save(record),
                "boot_id": self._boot_id,
                "monotonic_s": self._clock.monotonic_s(),
                "at": self._clock.wall().isoformat(),
            },
        )

    def take_up(self, supervisor: Supervisor, ids: Iterable[str]) -> None:
        """Let components that are new count on, STOPPED as they are."""
        for id_ in ids:
            if record := self._revived(supervisor.recovery.records[id_]):
                supervisor.resume(
                    replace(record, wanted=False, phase=Phase.STOPPED, due_s=None, held_by=None)
                )

    def resume(self, supervisor: Supervisor, ids: Iterable[str]) -> list[Record]:
        """Let STOPPED components that were wanted when they were left go on from there."""
        resumed = []
        for id_ in ids:
            present = supervisor.recovery.records[id_]
            record = self._revived(present) if present.phase is Phase.STOPPED else None
            if record is not None and record.wanted:
                supervisor.resume(record)
                resumed.append(supervisor.recovery.records[id_])
        return resumed

    def was_ending(self, id_: str, epoch: int) -> bool:
        """Tell whether a run was to be torn down, as the last decision about it has it."""
        saved = self._store.load_counters(id_)
        try:
            return saved is not None and was_ending(saved["record"], epoch)
        except (KeyError, TypeError):
            return False  # it counts anew, as resume() will tell

    def _revived(self, present: Record) -> Record | None:
        """Return where a component stands by what is saved of it, or None: it starts clean."""
        spec, now_s = present.spec, self._clock.monotonic_s()
        try:
            saved = self._store.load_counters(spec.id)
            if saved is None:
                return None
            moved_s = self._moved_s(saved["boot_id"], saved["monotonic_s"], saved["at"], now_s)
            record = revive(spec, saved["record"], now_s=now_s, moved_s=moved_s)
        except (KeyError, TypeError, ValueError) as error:
            self._store.forget_counters(spec.id)
            log.warning(
                "what was counted before can't be read: it counts anew",
                component=spec.id,
                error=repr(error),
            )
            return None
        return replace(record, epoch=max(record.epoch, present.epoch))

    def _moved_s(self, boot: str, saved_s: float, saved_at: str, now_s: float) -> float:
        """Return by how much the instants of a boot have to be moved to be instants of this one.

        Between two boots the wall clock alone has gone on.
        """
        if boot and boot == self._boot_id:
            return 0.0
        require_instants(monotonic_s=saved_s)
        since_s = (self._clock.wall() - datetime.fromisoformat(saved_at)).total_seconds()
        return now_s - saved_s - since_s


def why_down(resumed: Sequence[Record], now_s: float) -> Sighting | None:
    """Return the newest fault by which one of them goes on to be down; others start at once."""
    faults = [
        it.last
        for it in resumed
        if it.last is not None
        and (it.phase in _DOWN or (it.due_s is not None and it.due_s > now_s))
    ]
    return max(faults, key=lambda fault: fault.at_s, default=None)
