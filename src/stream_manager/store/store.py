"""The store: what the manager knows beyond its own life, and the journal of what it decided.

Reads of state are answered from memory, writes go to one thread, and no call raises because of a
disk: a store that fails is reported by `on_fault` and by health(), and streams go on.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from stream_manager.clock import Clock
from stream_manager.store import journal, schema, state
from stream_manager.store.journal import Entry, Query
from stream_manager.store.opening import Opening, load
from stream_manager.store.state import OutageRow, StoredSnapshot, Totals, WorkerRow
from stream_manager.store.writer import StoreHealth, Writer

CLOSE_AT_MOST_S = 1.0
# How many of the newest rows of each growing table stay.
BOUNDS = {"journal": 200_000, "outages": 100_000, "snapshots_aside": 1_000}


class Store:
    """One state directory, locked. Made by open(); used by one thread, that of the event loop."""

    def __init__(
        self, path: Path, opening: Opening, *, clock: Clock, on_fault: Callable[[str], None]
    ) -> None:
        self._path = path
        self._opening = opening
        self._clock = clock
        self._on_fault = on_fault
        self._news = asyncio.Event()
        self._closed = False
        database, error = opening.first_try()
        self._state = load(path, database, clock)
        self._writer = Writer(
            path,
            connect=opening.connect,
            database=database,
            error=error,
            clock=clock,
            on_fault=on_fault,
            bounds=BOUNDS,
        )
        self._writer.know(dict(self._state.rows()))
        self._writer.put_state(*state.instance_row(self._state.instance_id))
        self._set_flawed_aside()
        self._writer.start()

    @classmethod
    def open(cls, state_dir: Path, *, clock: Clock, on_fault: Callable[[str], None]) -> Self:
        """Lock `state_dir` (made if missing) and read it; `on_fault` is called from any thread.

        Raises AlreadyRunning and NewerSchema, both UsageErrors. A broken database is set aside; one
        that can't be opened now is tried again every second, and until then memory stands in.
        """
        opening = Opening(state_dir, clock=clock, on_fault=on_fault)
        try:
            return cls(state_dir / schema.NAME, opening, clock=clock, on_fault=on_fault)
        except BaseException:
            opening.release()
            raise

    def close(self) -> None:
        """Write what waits, at most a second long, and give the directory back."""
        self._closed = True
        self._tell_followers()
        self._writer.close(CLOSE_AT_MOST_S)
        self._opening.release()

    async def keep_writing(self) -> None:
        """Look after the thread that writes, until cancelled; raises when it has died."""
        await self._writer.keep_writing()

    def health(self) -> StoreHealth:
        """Return whether rows reach the disk."""
        return self._writer.health()

    def instance_id(self) -> str:
        """Return the random name of this state directory, the same for all its managers."""
        return self._state.instance_id

    async def write(self, entries: Sequence[Entry], at_most_s: float = 0.05) -> bool:
        """Journal `entries` in one transaction; True when they are on disk.

        False after `at_most_s`, or at once while the disk fails: the entries are marked late, and
        are written all the same as soon as that is possible.
        """
        if not entries:
            return True
        late = self._writer.failing
        self._put(entries, late=late)
        self._tell_followers()
        if late:
            return False
        commit = self._writer.next_commit()
        await asyncio.wait({commit}, timeout=at_most_s)
        if commit.done() and commit.result():
            return True
        self._put(entries, late=True)
        return False

    def last_seq(self) -> int:
        """Return the newest entry's number; the next one is this plus one, over restarts too."""
        return self._state.last_seq

    def journal(
        self, stream: str | None = None, after: int | None = None, limit: int = 100
    ) -> list[Entry]:
        """Return at most `limit` entries, oldest first: those next `after` a seq, else the newest.

        Any thread may call this. While the disk can't be read, these are the entries in memory.
        """
        query = Query(stream, after, limit)
        # Looked at first, for what waits may reach the disk in between.
        waiting = [row.values for row in self._writer.waiting("journal")]
        try:
            return schema.read(self._path, lambda connection: query.read(connection, waiting))
        except sqlite3.Error:
            return query.pick(waiting)

    async def follow(
        self, stream: str | None, after: int | None, limit: int, wait_s: float
    ) -> list[Entry]:
        """Return journal(), waiting up to `wait_s` for a first entry; close() ends the wait."""
        news = self._news
        found = await asyncio.to_thread(self.journal, stream, after, limit)
        try:
            async with asyncio.timeout(wait_s):
                while not found and not self._closed:
                    await news.wait()
                    news = self._news
                    found = await asyncio.to_thread(self.journal, stream, after, limit)
        except TimeoutError:
            pass  # nothing new is an answer
        return found

    def desired(self) -> dict[str, bool]:
        """Return what operators asked for, for each stream that one gave a command to."""
        return dict(self._state.desired)

    def set_desired(self, stream: str, up: bool) -> None:  # noqa: FBT001 - a wish is yes or no
        """Remember an operator's start or stop over restarts."""
        self._state.desired[stream] = up
        self._writer.put_state(*state.desired_row(stream, up))

    def workers(self) -> list[WorkerRow]:
        """Return the workers last known to run."""
        return list(self._state.workers.values())

    def save_worker(
        self, stream: str, pid: int, start_ticks: int, boot_id: str, epoch: int
    ) -> None:
        """Remember the process that runs a stream."""
        worker = WorkerRow(
            stream=stream, pid=pid, start_ticks=start_ticks, boot_id=boot_id, epoch=epoch
        )
        self._state.workers[stream] = worker
        self._writer.put_state(*state.worker_row(worker))

    def forget_worker(self, stream: str) -> None:
        """Note that a stream's process is gone."""
        if self._state.workers.pop(stream, None) is not None:
            self._writer.put_state(*state.no_worker_row(stream))

    def save_snapshot(self, component: str, payload: Mapping[str, object]) -> None:
        """Keep what `component` needs to go on; of several in a row the newest alone is written.

        `payload` must be a JSON object: TypeError or ValueError otherwise.
        """
        kept = StoredSnapshot.of(payload)
        if kept != self._state.snapshots.get(component):
            self._state.snapshots[component] = kept
            self._writer.put_state(*state.snapshot_row(component, kept))

    def load_snapshot(self, component: str) -> dict[str, object] | None:
        """Return a copy of the newest payload, or None: never saved, or set aside."""
        kept = self._state.snapshots.get(component)
        if kept is None:
            return None
        payload: dict[str, object] = json.loads(kept.payload)
        return payload

    def set_aside_snapshot(self, component: str, reason: str) -> None:
        """Take a snapshot out of use, for it can't be read or restored; it stays for inspection."""
        kept = self._state.snapshots.pop(component, None)
        if kept is None:
            return
        gone, aside = state.aside_rows(component, kept, reason, self._clock.wall())
        self._writer.put_state(*gone)
        self._writer.put_history(dict([aside]))
        self._on_fault(f"the snapshot of {component} is set aside ({reason}); it starts clean")

    def save_counters(self, component: str, payload: Mapping[str, object]) -> None:
        """Keep what `component` has counted; only the newest is kept. `payload` is JSON."""
        kept = StoredSnapshot.of(payload)
        self._state.counters[component] = kept
        self._writer.put_state(*state.counters_row(component, kept))

    def load_counters(self, component: str) -> dict[str, Any] | None:
        """Return the newest payload, or None. Raises ValueError for one that was damaged."""
        kept = self._state.counters.get(component)
        if kept is None:
            return None
        if flaw := kept.flaw():
            raise ValueError(flaw)
        payload: dict[str, Any] = json.loads(kept.payload)
        return payload

    def forget_counters(self, component: str) -> None:
        """Let `component` count anew."""
        if self._state.counters.pop(component, None) is not None:
            self._writer.put_state(*state.no_counters_row(component))

    def save_outage(self, outage: OutageRow) -> None:
        """Note that an outage began, goes on, or (once) ended; stream and began_at identify it."""
        totals = self._state.count(outage)
        self._writer.put_history(dict([state.outage_row(outage)]))
        self._writer.put_state(*state.totals_row(outage.stream, totals))

    def outages(self, stream: str, limit: int = 100) -> list[OutageRow]:
        """Return the newest outages of a stream, oldest first; the open one stands last."""
        # What waits is looked at first, for it may reach the disk in between.
        waiting = [state.outage(row.values) for row in self._writer.waiting("outages")]
        try:
            saved = schema.read(self._path, lambda c: state.read_outages(c, stream, limit))
        except sqlite3.Error:
            saved = []
        by_begin = {it.began_at: it for it in [*saved, *waiting] if it.stream == stream}
        return [by_begin[began_at] for began_at in sorted(by_begin)][-limit:]

    def add_observed(self, stream: str, observed_s: float) -> None:
        """Add time in which the stream was wanted and watched: what availability is a share of."""
        totals = self._state.totals.get(stream, Totals())
        totals = replace(totals, observed_s=totals.observed_s + observed_s)
        self._state.totals[stream] = totals
        self._writer.put_state(*state.totals_row(stream, totals))

    def totals(self) -> dict[str, Totals]:
        """Return each stream's observed time, outages and repairs, over all its life."""
        return dict(self._state.totals)

    def _put(self, entries: Sequence[Entry], *, late: bool) -> None:
        self._writer.put_history(
            {("journal", entry.seq): journal.to_row(entry, late=late) for entry in entries}
        )
        self._state.last_seq = max(self._state.last_seq, entries[-1].seq)

    def _tell_followers(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _set_flawed_aside(self) -> None:
        for component, kept in list(self._state.snapshots.items()):
            if flaw := kept.flaw():
                self.set_aside_snapshot(component, flaw)
