"""Keeps the index of recordings: what workers say of files, what was decided about streams.

A file is announced when it begins and when it ends. One whose worker ended without a word is
measured (`audit`); so is one that nobody announced.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from stream_manager.clock import Clock
from stream_manager.pipelines import names
from stream_manager.pipelines.measurement import Measurement
from stream_manager.pipelines.messages import Hole, SegmentClosed, SegmentOpened
from stream_manager.recordings.audit import Audit
from stream_manager.recordings.gaps import STARTING
from stream_manager.recordings.measuring import measure
from stream_manager.recordings.places import Places
from stream_manager.recordings.survey import Found
from stream_manager.store.index import SegmentIndex
from stream_manager.store.queries import read_newest_marks, read_volumes
from stream_manager.store.segments import Mark, Segment, SegmentState

# Causes of gaps beside those of faults.
STOPPED = "stopped"  # nobody wanted it
RESTARTED = "restarted"  # an operator's restart
UNATTENDED = "manager"  # no manager ran
CRASH = "crash"  # of a worker, seen by nobody who decides
# Of two marks at one instant one would be lost.
NEXT = timedelta(milliseconds=1)

log = structlog.get_logger()


class IndexKeeper:
    """Writes into `index`. Used on one event loop; `audit.run()` spans its life.

    measured: yields what files hold, in their order.
    """

    def __init__(
        self,
        index: SegmentIndex,
        *,
        clock: Clock,
        measured: Callable[[Sequence[Path]], AsyncIterator[Measurement]] = measure,
    ) -> None:
        self._index = index
        self._clock = clock
        self._open: dict[tuple[str, str], Segment] = {}
        self._faults: dict[str, list[Mark]] = {}  # those whose outage lasts
        newest: dict[str, Mark] = {}
        volumes: dict[str, Path] = {}
        try:
            newest, volumes = index.read(read_newest_marks), index.read(read_volumes)
        except sqlite3.Error as error:
            log.warning("the index of recordings can't be read yet", error=str(error))
        # A manager that ended by itself has marked all its streams as stopped.
        self._unattended = {name for name, mark in newest.items() if mark.cause != STOPPED}
        self._places = Places(volumes)
        self.audit = Audit(
            index, self._places, clock=clock, being_written=self._open.keys, measured=measured
        )

    def configure(self, volumes: Mapping[str, Path]) -> None:
        """Know where the volumes are, and look at their files anew."""
        for former, present in self._places.configure(volumes).items():
            self._index.rename_volume(former, present)
        for id_, path in volumes.items():
            self._index.know_volume(id_, path)
        self.audit.look_anew()

    def begin_anew(self) -> None:
        """Fill an index that was lost while we ran."""
        for segment in self._open.values():
            self._index.put(segment)
        self.audit.look_anew()

    async def written(self) -> bool:
        """Return once all that was said is on disk; False if the disk refuses it."""
        return await self._index.written()

    # --- what workers say -------------------------------------------------------------------------

    def opened(self, stream: str, fact: SegmentOpened) -> None:
        """Note a file that has begun."""
        volume, path = self._places.place(fact.path)
        segment = Segment(
            stream=stream,
            volume=volume,
            path=path,
            began_at=datetime.fromtimestamp(fact.began_at, UTC),
            container=fact.container,
            tracks=fact.tracks,
            epoch=fact.epoch,
            sequence=fact.sequence,
            continues=fact.continues,
        )
        self._open[segment.key] = segment
        self._index.put(segment)

    def closed(self, stream: str, fact: SegmentClosed) -> None:
        """Note that a file is finished, or that nothing reached it and it was removed."""
        key = volume, path = self._places.place(fact.path)
        segment = self._open.pop(key, None)
        name = names.parse(Path(path).name)
        if segment is None and name is not None and fact.bytes:
            # Its beginning was never heard: it is measured like any file that is found.
            self.audit.found(volume, Found(path=path, name=name, bytes=fact.bytes))
        elif segment is None:
            log.error("a file that is not ours was announced", stream=stream, path=fact.path)
        elif fact.bytes == 0:
            self._index.remove(segment)
        else:
            self._index.put(
                replace(
                    segment,
                    duration_s=fact.duration_s,
                    bytes=fact.bytes,
                    holes=tuple(_hole(it) for it in fact.holes),
                    state=SegmentState.WHOLE,
                )
            )

    def ended(self, stream: str, epochs: range | None = None) -> None:
        """Note that a stream's recorder is gone: what it left open, it can't finish any more.

        epochs: of the recorders that are gone, where another one goes on; None: all of them.
        """
        for key, segment in list(self._open.items()):
            if segment.stream == stream and (epochs is None or segment.epoch in epochs):
                self.audit.crashed(self._open.pop(key))

    # --- what was decided -------------------------------------------------------------------------

    def started(self, stream: str) -> None:
        """Mark that it is tried to record a stream from now on."""
        now = self._clock.wall()
        if stream in self._unattended:
            self._mark(stream, now - NEXT, UNATTENDED, "not-running")
        self._unattended.discard(stream)
        self._mark(stream, now, STARTING)

    def adopted(self, stream: str) -> None:
        """Know that a stream was recorded while no manager ran: nothing of it is missing."""
        self._unattended.discard(stream)

    def died(self, stream: str, code: str) -> None:
        """Mark that its worker has crashed while no manager ran; `started` comes next."""
        self._mark(stream, self._clock.wall() - 2 * NEXT, CRASH, code)

    def stopped(self, stream: str, by: str) -> None:
        """Mark that a stream is no longer wanted, by "operator", "configuration" or "manager"."""
        self._mark(stream, self._clock.wall(), STOPPED, by)

    def restarted(self, stream: str) -> None:
        """Mark an operator's restart, and that it is tried again at once."""
        now = self._clock.wall()
        self._mark(stream, now, RESTARTED, "operator")
        self._mark(stream, now + NEXT, STARTING)

    def failed(self, stream: str, at: datetime, cause: str, code: str) -> None:
        """Mark a fault; another one with the same `at` takes its place."""
        others = [mark for mark in self._faults.get(stream, ()) if mark.at != at]
        self._faults[stream] = [*others, self._mark(stream, at, cause, code)]

    def repaired(self, stream: str, outage_s: float) -> None:
        """Note how long the outage was that has ended now, with the faults in it."""
        for mark in self._faults.pop(stream, ()):
            self._index.mark(replace(mark, outage_s=outage_s))

    def _mark(self, stream: str, at: datetime, cause: str, code: str = "") -> Mark:
        mark = Mark(stream=stream, at=at, cause=cause, code=code)
        self._index.mark(mark)
        return mark


def _hole(hole: Hole) -> tuple[datetime, datetime, str]:
    began_at, ended_at = (datetime.fromtimestamp(it, UTC) for it in (hole.began_at, hole.ended_at))
    return began_at, ended_at, hole.cause
