"""Make-before-break: a worker that is to be replaced goes on until its successor does the same.

    begin -> a successor with the next epochs of worker, source and recorder
             verified         -> the worker is ended, and the next start takes the successor over
             failed, too late -> it is ended, and the worker is replaced as without it
    the worker fails meanwhile -> the next start takes the successor over as far as it has come
    the source or the recorder falls meanwhile -> the successor's epochs are no longer the next ones

The recovery core knows a run that ends and one that begins. What it does not see is that the former
process finishes its files while the next one has long begun.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from stream_manager.config import StreamSettings
from stream_manager.pipelines.messages import (
    FromWorker,
    Quit,
    SegmentClosed,
    SegmentOpened,
    Spawn,
    StartRecord,
    StartSource,
)
from stream_manager.recovery import (
    UP,
    Decision,
    Event,
    Handover,
    HandoverStep,
    Phase,
    Record,
    Start,
)
from stream_manager.streams.hearing import up_to
from stream_manager.streams.meeting import socket_path
from stream_manager.streams.recording import Recording
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.successor import Orders, Successor
from stream_manager.streams.upkeep import Means
from stream_manager.streams.watch import Watch
from stream_manager.streams.worker import Room, Worker

# Of these there is no next run to take over, for now or for ever.
NOT_WANTED = frozenset({Phase.STOPPED, Phase.STOPPING, Phase.FAILED})


class Handovers:
    """Brings up successors of one stream's `worker`, one at a time.

    order: what it is spawned by; limited: gives that the limits of a process. record_of: tells what
    the recovery core knows of a component.
    """

    def __init__(
        self,
        settings: StreamSettings,
        order: Spawn,
        *,
        limited: Callable[[Spawn], Spawn],
        worker: Worker,
        watch: Watch,
        recording: Recording,
        snapshots: Snapshots,
        means: Means,
        record_of: Callable[[str], Record],
        post: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._order = order
        self._limited = limited
        self._worker = worker
        self._watch = watch
        self._recording = recording
        self._snapshots = snapshots
        self._means = means
        self._record_of = record_of
        self._post = post
        id_ = self._id = settings.spec.id
        record = (f"{id_}/record",) if settings.spec.record is not None else ()
        self._parts = (f"{id_}/source", *record)
        self._successor: Successor | None = None  # until it has taken over, or is given up
        self._heir: Successor | None = None  # the newest that was to take over
        self._why = ""
        self._wanted = ""  # why it is to be replaced once all of it runs
        self._otherwise: Callable[[], None] = lambda: None
        self._due_s = 0.0

    def begin(self, why: str, otherwise: Callable[[], None]) -> bool:
        """Replace the worker: by a successor, or `otherwise` where that is not wanted or fails.

        True: a successor is on its way.
        """
        if self._successor is not None:
            return True
        if not self._can_begin:
            otherwise()
            return False
        self._why, self._otherwise = why, otherwise
        self._due_s = self._means.clock.monotonic_s() + self._settings.policy.start_deadline_s
        self._tell(HandoverStep.BEGUN, why)
        self._successor = Successor(
            self._orders(),
            launcher=self._means.launcher,
            recording=self._recording,
            pulse=self._watch.pulse,
            verify_for_s=self._settings.policy.verify_for_s,
            on_verified=self._verified,
            on_failed=self._drop,
        )
        self._worker.expect(self._successor)
        return True

    def look(self, *, lag_s: float) -> None:
        """Give up a successor that has not taken over in time; `lag_s` is our own lateness."""
        if self._successor is None:
            if self._wanted and self._can_begin:
                why, self._wanted = self._wanted, ""
                self.begin(why, lambda: None)
            return
        if self._worker.inherited(self._successor):
            self._heir, self._successor = self._successor, None
        elif self._means.clock.monotonic_s() > self._due_s + lag_s:
            allowed_s = self._settings.policy.start_deadline_s
            self._drop(f"it did not do all that the worker does within {allowed_s:g} s")

    def quit(self, grace_s: float) -> None:
        """Tell a successor to end."""
        if self._successor is not None:
            self._successor.process.send(Quit(grace_s=grace_s))

    def decided(self, decision: Decision) -> None:
        """Follow what is decided about the worker and its parts."""
        after = decision.after
        if decision.rule == "abandoned" and after.spec.inside:
            self._wanted = f"{after.spec.id} had to be abandoned in its process"
        if after.spec.id == self._id and after.phase not in UP:
            self._wanted = ""  # the worker is replaced in any case
        if decision.rule == "handover-verified":
            self._worker.make_room(Room(hear=self._hear_last, over=self._ends_of_former()))
            return
        if self._successor is None or self._worker.inherited(self._successor):
            return
        if after.spec.id == self._id and after.phase in NOT_WANTED:
            self._drop("the worker has no next run")
        elif (
            after.spec.id in self._parts
            and after.phase not in UP
            and self._record_of(self._id).phase in UP  # it did not just go down with the worker
        ):
            self._drop(f"{after.spec.id} went down meanwhile")

    def said(self, action: Start) -> list[FromWorker] | None:
        """Return what a successor that took over has told of a part that it began as this run.

        None: it began none such.
        """
        heir, part = self._successor or self._heir, action.id.rpartition("/")[2]
        if heir is None or not self._worker.inherited(heir) or not heir.began(part, action.epoch):
            return None
        return [*heir.said(part)]

    @property
    def _can_begin(self) -> bool:
        phases = {self._record_of(id_).phase for id_ in (self._id, *self._parts)}
        return self._settings.makes_before_break and phases == {Phase.RUNNING}

    def _orders(self) -> Orders:
        worker, source = (self._record_of(it).epoch + 1 for it in (self._id, self._parts[0]))
        path = _beside(socket_path(self._means.socket_dir, self._id, worker))
        order = msgspec.structs.replace(self._order, epoch=worker, socket_path=str(path))
        spec = self._settings.spec
        record = None
        if spec.record is not None:
            record = StartRecord(
                epoch=self._record_of(self._parts[1]).epoch + 1,
                record=spec.record,
                sequence=self._snapshots.sequence,
            )
        return Orders(
            worker=self._limited(order),
            source=StartSource(epoch=source, source=spec.source, hold=record is not None),
            record=record,
        )

    def _hear_last(self, message: FromWorker) -> None:
        """Take in what a process says that finishes its files."""
        match message:
            case SegmentOpened():
                self._recording.opened(message)
            case SegmentClosed():
                self._recording.closed(message)

    def _ends_of_former(self) -> Callable[[], None]:
        if self._settings.spec.record is None:
            return lambda: None
        return partial(self._recording.ended, up_to(self._record_of(self._parts[1]).epoch))

    def _verified(self) -> None:
        self._tell(HandoverStep.VERIFIED, self._why)

    def _drop(self, why: str) -> None:
        """End the successor, and replace the worker without one if it still runs."""
        successor, self._successor = self._successor, None
        assert successor is not None
        epoch = self._record_of(self._id).epoch
        self._tell(HandoverStep.FAILED, why)
        successor.close()

        def over() -> None:
            successor.leave_files()
            worker = self._record_of(self._id)
            if worker.phase in UP and worker.epoch == epoch:
                self._otherwise()

        self._worker.expect(None)
        self._worker.see_off(successor.process, successor.life, over)

    def _tell(self, step: HandoverStep, why: str) -> None:
        epoch = self._record_of(self._id).epoch
        self._post(Handover(id=self._id, epoch=epoch, step=step, why=why))


def _beside(path: Path) -> Path:
    """Return where a successor listens: one that is given up removes its own socket alone."""
    return path.with_stem(f"{path.stem}-next")
