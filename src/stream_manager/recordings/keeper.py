"""Keeps the index of recordings true: what workers say, what was decided, what is on the disks.

A file is announced when it begins and when it ends. One whose worker ended without a word is
measured; so is one that nobody announced.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from stream_manager.clock import Clock
from stream_manager.errors import InvariantError
from stream_manager.pipelines import names
from stream_manager.pipelines.measurement import Measurement
from stream_manager.pipelines.messages import SegmentClosed, SegmentOpened
from stream_manager.recordings.gaps import STARTING
from stream_manager.recordings.measuring import measure
from stream_manager.recordings.survey import Found, Survey, streams, survey
from stream_manager.store.segments import (
    Mark,
    Segment,
    SegmentIndex,
    SegmentState,
    count_finished,
    read_newest_marks,
    read_segments,
    read_volumes,
)

# Causes of gaps beside those of faults.
STOPPED = "stopped"  # nobody wanted it
RESTARTED = "restarted"  # an operator's restart
UNATTENDED = "manager"  # no manager ran
FILE_MISSING = "file-missing"  # it was recorded, and the file is gone

SURVEY_EVERY_S = 3600.0
# A recovery comes first: what crashed is measured when the crash is over.
SETTLE_AFTER_S = 1.0
# The announcement of a file that is younger than this may still be on its way.
ANNOUNCED_WITHIN = timedelta(seconds=60)
PROGRESS_EVERY = 1000

log = structlog.get_logger()


class IndexKeeper:
    """Writes into `index`. Used on one event loop; `run()` spans its life.

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
        self._measured = measured
        self._volumes: dict[str, Path] = {}
        # Those too that the configuration no longer names: files may still be finished there.
        self._roots: dict[str, Path] = index.read(read_volumes, {})
        self._open: dict[tuple[str, str], Segment] = {}
        self._unmeasured: dict[tuple[str, str], Segment] = {}
        self._marks: dict[str, Mark] = {}  # of faults whose outage lasts
        # A manager that ended by itself has marked all its streams as stopped.
        newest: dict[str, Mark] = index.read(read_newest_marks, {})
        self._unattended = {name for name, mark in newest.items() if mark.cause != STOPPED}
        self._wake = asyncio.Event()
        self._began_at = clock.wall()
        self._survey_due_s = clock.monotonic_s()

    def configure(self, volumes: Mapping[str, Path]) -> None:
        """Know where the volumes are, and look at their files anew."""
        self._volumes = dict(volumes)
        self._roots |= volumes
        for id_, path in volumes.items():
            self._index.know_volume(id_, path)
        self.look_anew()

    def look_anew(self) -> None:
        """Compare files and index soon, whether or not that is due."""
        self._survey_due_s = self._clock.monotonic_s()
        self._wake.set()

    # --- what workers say -------------------------------------------------------------------------

    def opened(self, stream: str, fact: SegmentOpened) -> None:
        """Note a file that has begun."""
        volume, path = self._place(fact.path)
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
        segment = self._open.pop(self._place(fact.path), None)
        if segment is None:  # its beginning was never heard: it is measured like any found file
            self._measure_unannounced(stream, fact)
        elif fact.bytes == 0:
            self._index.remove(segment)
        else:
            holes = [(hole.began_at, hole.ended_at) for hole in fact.holes]
            self._index.put(
                replace(
                    segment,
                    duration_s=fact.duration_s,
                    bytes=fact.bytes,
                    holes=tuple(
                        (datetime.fromtimestamp(began, UTC), datetime.fromtimestamp(ended, UTC))
                        for began, ended in holes
                    ),
                    state=SegmentState.WHOLE,
                )
            )

    def ended(self, stream: str) -> None:
        """Note that a stream's recorder is gone: what it left open, it can't finish any more."""
        for key, segment in list(self._open.items()):
            if segment.stream == stream:
                self._measure(self._open.pop(key))

    # --- what was decided -------------------------------------------------------------------------

    def started(self, stream: str) -> None:
        """Mark that it is tried to record a stream from now on."""
        now = self._clock.wall()
        if stream in self._unattended:
            at = now - timedelta(milliseconds=1)  # of two marks at one instant one would be lost
            self._index.mark(Mark(stream=stream, at=at, cause=UNATTENDED, code="not-running"))
        self._unattended.discard(stream)
        self._index.mark(Mark(stream=stream, at=now, cause=STARTING))

    def stopped(self, stream: str, by: str) -> None:
        """Mark that a stream is no longer wanted, by "operator", "configuration" or "manager"."""
        self._mark(stream, self._clock.wall(), STOPPED, by)

    def restarted(self, stream: str) -> None:
        """Mark an operator's restart."""
        self._mark(stream, self._clock.wall(), RESTARTED, "operator")

    def failed(self, stream: str, at: datetime, cause: str, code: str) -> None:
        """Mark a fault; another one with the same `at` takes its place."""
        self._marks[stream] = self._mark(stream, at, cause, code)

    def repaired(self, stream: str, outage_s: float) -> None:
        """Note how long the outage was that has ended now, with the fault that began the gap."""
        mark = self._marks.pop(stream, None)
        if mark is not None:
            self._index.mark(replace(mark, outage_s=outage_s))

    def _mark(self, stream: str, at: datetime, cause: str, code: str) -> Mark:
        mark = Mark(stream=stream, at=at, cause=cause, code=code)
        self._index.mark(mark)
        return mark

    # --- what is on the disks ---------------------------------------------------------------------

    async def run(self, leftovers: Iterable[asyncio.Task[None]]) -> None:
        """Measure and compare until cancelled; the `leftovers` may still be finishing files."""
        if tasks := list(leftovers):
            await asyncio.wait(tasks)
        await self.take_over()
        while True:
            await self.settle()
            if self._clock.monotonic_s() >= self._survey_due_s:
                self._survey_due_s = self._clock.monotonic_s() + SURVEY_EVERY_S
                await self.reconcile()
            await self._something_to_do()

    async def take_over(self) -> None:
        """Have measured, by the next settle(), what an earlier manager left open."""
        await self._index.written()
        left_open: list[Segment] = self._index.read(
            partial(read_segments, state=SegmentState.OPEN), []
        )
        for segment in left_open:
            if segment.key not in self._open:
                self._measure(segment)

    async def settle(self) -> None:
        """Measure what waits for it, and write down what is known then."""
        waiting, self._unmeasured = self._unmeasured, {}
        at = {str(self._roots[it.volume] / it.path): it for it in waiting.values()}
        done = 0
        async for found in self._measured([Path(path) for path in at]):
            self._settled(at[found.path], Path(found.path), found)
            done += 1
            if done % PROGRESS_EVERY == 0:
                log.info("measuring files for the index", done=done, of=len(at))

    async def reconcile(self) -> None:
        """Bring the index in step with the files of every volume."""
        for volume, root in list(self._volumes.items()):
            await self._reconcile(volume, root)

    async def _something_to_do(self) -> None:
        self._wake.clear()
        delay_s = self._survey_due_s - self._clock.monotonic_s()
        if not self._unmeasured and delay_s > 0:
            woken = asyncio.ensure_future(self._wake.wait())
            timer = asyncio.ensure_future(self._clock.sleep(delay_s))
            try:
                await asyncio.wait((woken, timer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                timer.cancel()
        await self._clock.sleep(SETTLE_AFTER_S)

    def _measure(self, segment: Segment) -> None:
        self._unmeasured[segment.key] = segment
        self._wake.set()

    def _measure_unannounced(self, stream: str, fact: SegmentClosed) -> None:
        volume, path = self._place(fact.path)
        name = names.parse(Path(path).name)
        if name is not None and fact.bytes:
            self._measure(_found(volume, Found(path=path, name=name, bytes=fact.bytes)))
        else:
            log.error("a file that is not ours was announced", stream=stream, path=fact.path)

    def _settled(self, segment: Segment, path: Path, found: Measurement) -> None:
        try:
            size = path.stat().st_size
            if size == 0:
                path.unlink()  # made by a worker that ended before the first picture came
        except OSError:
            size = 0
        if size == 0:
            self._index.remove(segment)
            return
        cut_off = segment.sequence > 0 or not found.whole
        state = SegmentState.TRUNCATED if cut_off else SegmentState.WHOLE
        if found.error:
            state = SegmentState.UNREADABLE
            log.warning("a recording can't be played", path=str(path), error=found.error)
        self._index.put(
            replace(
                segment,
                duration_s=found.duration_s,
                bytes=size,
                tracks=found.tracks or segment.tracks,
                state=state,
            )
        )

    async def _reconcile(self, volume: str, root: Path) -> None:
        """Bring the index of a volume in step with its files."""
        if not await self._index.written():
            return  # what is not on disk yet would be taken for unknown
        known = self._index.read(partial(count_finished, volume=volume), 0)
        surveys = [
            await asyncio.to_thread(self._survey, volume, root, stream)
            for stream in sorted(set(await asyncio.to_thread(streams, root)) | self._indexed())
        ]
        missing = [segment for it in surveys for segment in it.missing]
        changed = [segment for it in surveys for segment in it.changed]
        unknown = [found for it in surveys for found in it.unknown]
        if 2 * len(missing) > known:
            log.error(
                "more than half of a volume's recordings are gone at once: is its disk mounted? The"
                " index keeps them; if they were deleted on purpose, stop the manager and remove"
                " segments.db: it is made anew from the files that are there",
                missing=len(missing),
                indexed=known,
                volume=volume,
                path=str(root),
                cause="storage",
            )
        else:
            for segment in missing:
                self._index.remove(segment)
                mark = Mark(stream=segment.stream, at=segment.began_at, cause=FILE_MISSING)
                self._index.mark(mark)
        for segment in [*changed, *(_found(volume, it) for it in unknown)]:
            self._unmeasured[segment.key] = segment
        if missing or changed or unknown:
            log.warning(
                "files and index differ",
                volume=volume,
                missing=len(missing),
                changed=len(changed),
                not_indexed=len(unknown),
            )
        await self.settle()

    def _indexed(self) -> set[str]:
        query = "SELECT DISTINCT stream FROM segments"
        return self._index.read(lambda it: {name for (name,) in it.execute(query)}, set())

    def _survey(self, volume: str, root: Path, stream: str) -> Survey:
        segments: list[Segment] = self._index.read(
            partial(read_segments, volume=volume, stream=stream), []
        )
        # What is older than we are was never announced to us, and nobody writes it any more.
        before = max(self._began_at, self._clock.wall() - ANNOUNCED_WITHIN)
        return survey(root, stream, segments, before=before)

    def _place(self, path: str) -> tuple[str, str]:
        """Return the volume of a file, and its path there."""
        for id_, root in self._roots.items():
            if Path(path).is_relative_to(root):
                return id_, str(Path(path).relative_to(root))
        raise InvariantError(f"{path} is on no volume that was ever configured")


def _found(volume: str, found: Found) -> Segment:
    return Segment(
        stream=found.name.stream,
        volume=volume,
        path=found.path,
        began_at=found.name.began_at,
        container=found.name.container,
    )
