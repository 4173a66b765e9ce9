"""`StreamManager`: all streams under one supervisor, and what the API may ask of them."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from stream_manager.api import Verb
from stream_manager.clock import Clock, chance, local_time, wall_of
from stream_manager.config import Configuration, StreamSettings
from stream_manager.errors import UsageError
from stream_manager.evidence import Keeper
from stream_manager.recordings import IndexKeeper
from stream_manager.recovery import (
    Decision,
    IncidentStep,
    Phase,
    RecoveryManager,
    Reset,
    Step,
)
from stream_manager.store import Entry, SegmentIndex, Store
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.counters import Counters
from stream_manager.streams.entries import entry
from stream_manager.streams.explanation import explanation
from stream_manager.streams.lag import LoopLag
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.limits import KernelMemory
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.own_tasks import OwnTasks, is_own
from stream_manager.streams.report import report, report_incident, report_own
from stream_manager.streams.stream import Stream
from stream_manager.streams.systemd import Systemd
from stream_manager.streams.takeover import Takeover
from stream_manager.streams.upkeep import Means
from stream_manager.streams.views import domains_status, stream_status, summary
from stream_manager.supervision import Supervisor
from stream_manager.version import __version__

LOOK_EVERY_S = 0.25
OBSERVE_EVERY_S = 10.0
POLL_S = 0.02
LAST_GRACE_S = 4.0  # what workers have whose manager ends at once
EXPLAINED_BY_ENTRIES = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Which streams a configuration added, changed, removed and left as they were, by id."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class StreamManager:
    """Runs the configured streams. Used on one event loop; `run()` spans its life.

    state_dir and runtime_dir exist and are ours. With the first configuration it takes over what
    an earlier manager left.
    """

    def __init__(
        self,
        *,
        store: Store,
        index: SegmentIndex,
        launcher: Launcher,
        clock: Clock,
        state_dir: Path,
        runtime_dir: Path,
        evidence: Keeper,
        systemd: Systemd,
    ) -> None:
        self._store = store
        self._index = index
        self._keeper = IndexKeeper(index, clock=clock)
        self._state_dir = state_dir
        self._clock = clock
        self._counters = Counters(store=store, clock=clock)
        self._began_s = clock.monotonic_s()
        self._means = Means(
            launcher=launcher,
            kernel=KernelMemory(cgroups=Cgroups.of_machine(), oom=OutOfMemoryWatch(clock)),
            evidence=evidence,
            store=store,
            clock=clock,
            socket_dir=runtime_dir,
        )
        self._streams: dict[str, Stream] = {}
        self._leaving: dict[str, StreamSettings | None] = {}
        self._lag = LoopLag(clock, every_s=LOOK_EVERY_S)
        self.stopping = asyncio.Event()
        self.hands_over = False
        self._supervisor = Supervisor(
            recovery=RecoveryManager(chance=chance, first_seq=store.last_seq() + 1),
            journal=self._write,
            clock=clock,
            watch=self._decided,
            came_round=lambda: systemd.beat(self._summary),
            late=self._lag.take,
        )
        self._takeover = Takeover(
            runtime_dir=runtime_dir,
            store=store,
            keeper=self._keeper,
            launcher=launcher,
            clock=clock,
            streams=self._streams,
            begin=self._begin,
        )
        self.own_tasks = OwnTasks(self._supervisor, clock)
        for name, work in (("health", self._look), ("index", self._keep_index)):
            self.own_tasks.add(name, work)
        for name, keep in (("store", store.keep_writing), ("index-store", index.keep_writing)):
            self.own_tasks.add(name, keep)

    async def run(self) -> None:
        """Decide until cancelled; everything else is a component that the decisions begin."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supervisor.run(), name="supervisor")
            tasks.create_task(self._come_round(), name="tick")

    def configure(self, configuration: Configuration) -> Changes:
        """Run these streams: new ones start, changed ones start anew, missing ones stop."""
        if self.stopping.is_set():
            return Changes()
        self._keeper.configure({volume.id: volume.path for volume in configuration.volumes})
        wanted = {settings.spec.id: settings for settings in configuration.streams}
        kept: list[str] = []
        anew: list[str] = []
        removed: list[str] = []
        for id_, stream in list(self._streams.items()):
            settings = wanted.pop(id_, None)
            changed = settings is None or settings.digest != stream.settings.digest
            if changed or id_ in self._leaving:
                (removed if settings is None else anew).append(id_)
                self._leaving[id_] = settings
                stream.want(up=False, by="configuration")
                self._supervisor.between_rounds(partial(self._replace, stream))
            else:
                kept.append(id_)
        for settings in wanted.values():
            self._add(settings)
        self._takeover.start()
        return Changes(
            added=tuple(wanted), changed=tuple(anew), removed=tuple(removed), unchanged=tuple(kept)
        )

    def index_lost(self) -> None:
        """Fill the index of recordings anew: its file was lost while we ran."""
        self._keeper.begin_anew()

    async def stop(self, at_most_s: float) -> bool:
        """Stop every stream; False if some still ran after `at_most_s`."""
        self._leaving.clear()
        for stream in self._streams.values():
            stream.want(up=False, by="manager")
        rest = asyncio.create_task(self._takeover.stop())
        deadline_s = self._clock.monotonic_s() + at_most_s
        while not (stopped := rest.done() and all(map(self._stopped, self._streams.values()))):
            if self._clock.monotonic_s() > deadline_s:
                break
            await self._clock.sleep(POLL_S)
        rest.cancel()
        self._close_cases()
        return stopped

    async def taken_over(self) -> None:
        """Return when all that an earlier manager left is adopted or has ended."""
        await self._takeover.settled()

    def leave(self) -> None:
        """Take nothing over any more, and leave all that runs to the next manager."""
        self._takeover.leave()
        self._means.launcher.leave()
        self._close_cases()

    def ask_to_quit(self) -> None:
        """Tell every worker to finish its files and end, whatever else is under way."""
        for stream in self._streams.values():
            stream.quit(LAST_GRACE_S)

    def _close_cases(self) -> None:
        for stream in self._streams.values():
            for casebook in stream.casebooks:
                casebook.close()

    def _add(self, settings: StreamSettings) -> None:
        id_ = settings.spec.id
        stream = Stream(
            settings,
            supervisor=self._supervisor,
            means=self._means,
            keeper=self._keeper,
            counters=self._counters,
        )
        self._streams[id_] = stream
        if not self._takeover.concerns(id_):
            self._begin(stream)

    def _begin(self, stream: Stream) -> None:
        """Start a new stream, if it is still wanted when its forerunner's worker has ended."""
        if self.stopping.is_set():
            return
        if self._store.desired().get(stream.id, True):
            stream.want(up=True)
        else:
            log.info("stopped by an operator earlier", stream=stream.id)

    def _stopped(self, stream: Stream) -> bool:
        return stream.record_of(stream.id).phase is Phase.STOPPED

    # --- what the supervisor tells ---------------------------------------------------------------

    async def _write(self, decisions: Sequence[Step], at_most_s: float) -> bool:
        about_streams = (it for it in decisions if isinstance(it, Decision) and not is_own(it.id))
        newest = {it.id: it.after for it in about_streams}
        for record in newest.values():
            self._counters.save(record)
        entries = [entry(it, clock=self._clock, local=self._local) for it in decisions]
        return await self._store.write(entries, at_most_s)

    def _decided(self, decision: Step) -> None:
        if isinstance(decision, IncidentStep):
            report_incident(decision, wall=self._local)
            return
        if is_own(decision.id):
            report_own(decision, wall=self._local)
            return
        id_ = decision.after.spec.id.partition("/")[0]
        stream = self._streams[id_]
        outage = stream.decided(decision)
        report(decision, outage, wall=self._local)
        if id_ in self._leaving and self._stopped(stream):
            self._supervisor.between_rounds(partial(self._replace, stream))

    def _replace(self, stream: Stream) -> None:
        """Put the new settings in the place of a stream that has stopped, if it is still there."""
        here = self._streams.get(stream.id) is stream and stream.id in self._leaving
        if not here or not self._stopped(stream):
            return
        settings = self._leaving.pop(stream.id)
        stream.leave()
        del self._streams[stream.id]
        if settings is not None:
            self._add(settings)

    def _local(self, instant_s: float) -> str:
        return local_time(wall_of(instant_s, self._clock), self._clock.wall())

    async def _keep_index(self) -> None:
        """Keep the index true, once nobody finishes files unheard any more."""
        await self._takeover.settled()
        await self._keeper.audit.run()

    def _summary(self) -> str:
        return "stopping" if self.stopping.is_set() else summary(list(self._streams.values()))

    async def _come_round(self) -> None:
        """Measure how late we are, and have the supervisor come round: whoever watches it waits."""
        while True:
            await self._clock.sleep(self._lag.until_tick_s)
            self._lag.tick()
            self._supervisor.come_round()

    async def _look(self) -> None:
        """Find silent workers; a look that comes late excuses as much silence."""
        observed_s = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            now_s = self._clock.monotonic_s()
            for stream in self._streams.values():
                stream.look(lag_s=self._lag.late_s)
            if now_s - observed_s >= OBSERVE_EVERY_S:
                observed_s = now_s
                self._means.kernel.oom.look()
                for stream in self._streams.values():
                    stream.history.observe()

    # --- what the API asks (api.Service) ---------------------------------------------------------

    def stream_ids(self) -> Sequence[str]:
        """Return the configured streams."""
        return tuple(self._streams)

    def status(self) -> dict[str, Any]:
        """Return the values of `status --json`."""
        return {
            "manager": {
                "pid": os.getpid(),
                "uptime_s": self._clock.monotonic_s() - self._began_s,
                "version": __version__,
                "state_dir": str(self._state_dir),
                "loop": {"lag_s": self._lag.newest_s, "lag_worst_s": self._lag.worst_s},
                "tasks": self.own_tasks.status(),
                "store": asdict(self._store.health()),
                "index": asdict(self._index.health()),
            },
            "streams": [stream_status(it, self._clock) for it in self._streams.values()],
            "domains": domains_status(self._supervisor.recovery, self._clock),
            "pressure": {},
        }

    async def explain(self, stream: str) -> dict[str, Any]:
        """Return why the stream is as it is."""
        entries = await asyncio.to_thread(self._store.journal, stream, None, EXPLAINED_BY_ENTRIES)
        return explanation(
            self._streams[stream],
            entries,
            clock=self._clock,
            stopped_by_operator=not self._store.desired().get(stream, True),
            local=self._local,
        )

    async def command(self, stream: str, verb: Verb) -> None:
        """Take an operator's command; stop and start are remembered over restarts of ours."""
        it = self._streams[stream]
        if self.stopping.is_set():
            raise UsageError("the manager is stopping: it takes no more commands")
        if stream in self._leaving:
            raise UsageError(f"{stream} is just being changed by a new configuration: try again")
        if self._takeover.concerns(stream):
            raise UsageError(f"{stream} is just being taken over from an earlier run: try again")
        match verb:
            case "stop":
                self._store.set_desired(stream, up=False)
                it.want(up=False)
            case "start":
                self._store.set_desired(stream, up=True)
                it.want(up=True)
                it.post(Reset(id=it.id))
            case "restart":
                self._store.set_desired(stream, up=True)
                it.want(up=True)
                it.restart()
            case "reset":
                it.post(Reset(id=it.id))

    async def journal(
        self, stream: str | None, after: int | None, limit: int, wait_s: float
    ) -> list[Entry]:
        """Return entries, waiting for the first one where there is none yet."""
        if after is None:
            return await asyncio.to_thread(self._store.journal, stream, None, limit)
        return await self._store.follow(stream, after, limit, wait_s)

    def shutdown(self) -> None:
        """Begin to stop the streams and the manager."""
        self.stopping.set()

    def hand_over(self) -> None:
        """Begin to stop the manager alone: the workers go on for the next one."""
        self.hands_over = True
        self.stopping.set()
