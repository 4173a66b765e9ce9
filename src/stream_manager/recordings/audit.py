"""Keeps the index in step with the disks: measures what nobody announced, misses what is gone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import structlog

from stream_manager.clock import Clock
from stream_manager.pipelines.measurement import Measurement
from stream_manager.recordings.judging import adopted, known_now
from stream_manager.recordings.marker import ABSENT, mend, read_marker, write_marker
from stream_manager.recordings.measuring import measure
from stream_manager.recordings.places import Places
from stream_manager.recordings.survey import Found, Survey, streams, survey
from stream_manager.store.index import SegmentIndex
from stream_manager.store.queries import (
    count_present,
    draw_marker,
    read_accepted,
    read_doubts,
    read_recorded_streams,
    read_segments,
)
from stream_manager.store.segments import Segment, SegmentState

Answer = TypeVar("Answer")
Key = tuple[str, str]

SURVEY_EVERY_S = 3600.0
SURVEY_AGAIN_S = 60.0  # where the index or a directory could not be read
# A recovery comes first: what crashed is measured when the crash is over.
SETTLE_AFTER_S = 1.0
# The announcement of a file that is younger than this may still be on its way.
ANNOUNCED_WITHIN = timedelta(seconds=60)
# So many are measured, or written, before something more urgent gets its turn.
BATCH = 100
ROWS_AT_ONCE = 1000

log = structlog.get_logger()


class Audit:
    """Compares `index` with the files. Used on one event loop; `run()` spans its life.

    being_written: tells the keys of the files that are announced and not finished.
    measured: yields what files hold, in their order.
    """

    def __init__(
        self,
        index: SegmentIndex,
        places: Places,
        *,
        clock: Clock,
        being_written: Callable[[], Collection[Key]],
        measured: Callable[[Sequence[Path]], AsyncIterator[Measurement]] = measure,
    ) -> None:
        self._index = index
        self._places = places
        self._clock = clock
        self._being_written = being_written
        self._measured = measured
        self._cut_off: dict[Key, Segment] = {}
        self._crashed: set[Key] = set()  # of those: whose worker was seen to end
        self._found: dict[Key, Segment] = {}
        self._wake = asyncio.Event()
        self._began_at = clock.wall()
        self._survey_due_s = clock.monotonic_s()

    def crashed(self, segment: Segment) -> None:
        """Have a file measured whose worker ended without finishing it."""
        self._cut_off[segment.key] = segment
        self._crashed.add(segment.key)
        self._wake.set()

    def found(self, volume: str, found: Found) -> None:
        """Have a file measured that nobody announced."""
        segment = adopted(volume, found)
        self._found[segment.key] = segment
        self._wake.set()

    def look_anew(self) -> None:
        """Compare files and index soon, whether or not that is due."""
        self._survey_due_s = self._clock.monotonic_s()
        self._wake.set()

    async def run(self) -> None:
        """Measure and compare until cancelled; nobody may still finish files unheard."""
        while not await self.take_over():
            await self._clock.sleep(SETTLE_AFTER_S)
        while True:
            await self.settle()
            if self._clock.monotonic_s() >= self._survey_due_s and not self._cut_off:
                done = await self.reconcile()
                every_s = SURVEY_EVERY_S if done else SURVEY_AGAIN_S
                self._survey_due_s = self._clock.monotonic_s() + every_s
            await self._something_to_do()

    async def take_over(self) -> bool:
        """Have measured, by the next settle(), what an earlier manager left open.

        False where the index can't be read now.
        """
        being_written = self._being_written()
        await self._index.written()
        try:
            left_open = await self._ask(partial(read_segments, state=SegmentState.OPEN))
        except sqlite3.Error:
            return False
        self._cut_off |= {it.key: it for it in left_open if it.key not in being_written}
        return True

    async def settle(self) -> None:
        """Measure what waits for it, the cut off first, and write down what is known then."""
        while batch := dict(islice((self._cut_off | self._found).items(), BATCH)):
            at = {str(self._places.path(segment)): segment for segment in batch.values()}
            async for measurement in self._measured([Path(path) for path in at]):
                segment = at[measurement.path]
                crashed = segment.key in self._crashed
                known = await asyncio.to_thread(known_now, segment, measurement, crashed=crashed)
                self._crashed.discard(segment.key)
                if segment.key in self._cut_off:
                    del self._cut_off[segment.key]
                    self._write(segment, known, self._index.put)
                else:
                    del self._found[segment.key]
                    adopts = segment.state is SegmentState.OPEN
                    self._write(segment, known, self._index.adopt if adopts else self._index.put)
            if left := len(self._found):
                log.info("measuring files for the index", to_do=left)

    async def reconcile(self) -> bool:
        """Bring the index in step with the files of every volume; False if not all was seen."""
        seen = [
            await self._reconcile(id_, root) for id_, root in list(self._places.present.items())
        ]
        return all(seen)

    async def _something_to_do(self) -> None:
        self._wake.clear()
        delay_s = self._survey_due_s - self._clock.monotonic_s()
        if not (self._cut_off or self._found) and delay_s > 0:
            woken = asyncio.ensure_future(self._wake.wait())
            timer = asyncio.ensure_future(self._clock.sleep(delay_s))
            try:
                await asyncio.wait((woken, timer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                timer.cancel()
        await self._clock.sleep(SETTLE_AFTER_S)

    def _write(
        self, segment: Segment, known: Segment | None, put: Callable[[Segment], None]
    ) -> None:
        if known is None:
            self._index.remove(segment)
            return
        put(known)
        if known.state is SegmentState.UNREADABLE:
            log.warning("a recording can't be played", path=str(self._places.path(known)))

    async def _reconcile(self, volume: str, root: Path) -> bool:
        if not await self._index.written():
            return False  # what is not on disk yet would be taken for unknown
        try:
            known = await self._ask(partial(count_present, volume=volume))
            accepted, own = await self._ask(partial(read_accepted, volume=volume))
            doubted = volume in await self._ask(read_doubts)
            fresh = await self._ask(draw_marker)
            marker = await asyncio.to_thread(read_marker, root)
            names_of_streams = set(await self._ask(read_recorded_streams))
            names_of_streams |= set(await asyncio.to_thread(streams, root))
            surveys = [
                await asyncio.to_thread(self._survey, volume, root, stream)
                for stream in sorted(names_of_streams)
            ]
        except (sqlite3.Error, OSError) as error:
            log.warning("files and index can't be compared now", volume=volume, error=str(error))
            return False
        if await asyncio.to_thread(read_marker, root) != marker:
            return False  # mounted or unmounted meanwhile: whose files these are is not known
        missing = sum(len(it.missing) for it in surveys)
        # What came since cannot make up for a disk that is away: the last good count decides.
        doubtful = 2 * missing > (known if accepted is None else accepted)
        if doubtful and (marker.id is None or marker.id != own):
            mark = marker.lack or "is another volume's"
            self._index.refuse(volume, missing, mark)
            log.error(
                "more than half of a volume's recordings are gone at once: is its disk mounted? The"
                " index keeps them",
                mark=mark,
                if_it_is_and_they_are_gone=mend(root, str(own), marker),
                missing=missing,
                indexed=known,
                volume=volume,
                path=str(root),
                cause="storage",
            )
        else:
            for it in surveys:
                await self._miss(it)
            # No two directories may bear one mark: the mount point below a disk may have been
            # marked before, and an operator may have written its mark onto the disk.
            if marker.id is None or (doubtful and doubted):
                if marker.lack not in {"", ABSENT}:
                    log.warning("a volume's mark is drawn anew", volume=volume, mark=marker.lack)
                await self._mark(volume, root, fresh)
                self._index.accept(volume, known - missing, fresh)
            else:
                self._index.accept(volume, known - missing, marker.id)
        self._adopt(volume, surveys)
        await self.settle()
        return True

    async def _mark(self, volume: str, root: Path, marker: str) -> None:
        try:
            await asyncio.to_thread(write_marker, root, marker)
        except OSError as error:
            log.warning("a volume can't be marked as ours yet", volume=volume, error=str(error))

    async def _miss(self, seen: Survey) -> None:
        for number, segment in enumerate(seen.missing, start=1):
            self._index.put(replace(segment, state=SegmentState.MISSING))
            if number % ROWS_AT_ONCE == 0:
                await self._index.written()
        if seen.outlived and seen.first_at is not None:
            await self._index.written()
            self._index.forget_before(seen.stream, seen.first_at)

    def _adopt(self, volume: str, surveys: Sequence[Survey]) -> None:
        for it in surveys:
            found = [adopted(volume, unknown) for unknown in it.unknown]
            self._found |= {segment.key: segment for segment in (*it.changed, *found)}
            if it.missing or it.changed or it.unknown:
                log.warning(
                    "files and index differ",
                    volume=volume,
                    stream=it.stream,
                    missing=len(it.missing),
                    changed=len(it.changed),
                    not_indexed=len(it.unknown),
                )

    def _survey(self, volume: str, root: Path, stream: str) -> Survey:
        segments = self._index.read(partial(read_segments, volume=volume, stream=stream))
        # What is older than we are was never announced to us, and nobody writes it any more.
        before = max(self._began_at, self._clock.wall() - ANNOUNCED_WITHIN)
        return survey(root, stream, segments, before=before)

    async def _ask(self, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
        return await asyncio.to_thread(self._index.read, query)
