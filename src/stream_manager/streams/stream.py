"""One stream, the manager's side: its three components, begun or adopted, and what they cost.

worker's words  -> Hearing, Watch      -> events for the supervisor
decisions       -> history, snapshots     (what it cost, what to go on from)
"""

from collections.abc import Mapping

from stream_manager.config import StreamSettings
from stream_manager.health import Outage
from stream_manager.pipelines.messages import (
    FeedReady,
    FromWorker,
    Hello,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Quit,
    Spawn,
    StartCustom,
    StartRecord,
    StartSource,
    Track,
)
from stream_manager.recordings import IndexKeeper
from stream_manager.recovery import (
    UP,
    Adopted,
    Decision,
    Event,
    Failed,
    Fault,
    Incident,
    Phase,
    Record,
    Reset,
    Restart,
    Start,
    Started,
    Wanted,
)
from stream_manager.streams.casebook import Casebook
from stream_manager.streams.components import components
from stream_manager.streams.counters import Counters, why_down
from stream_manager.streams.handover import Handovers
from stream_manager.streams.hearing import Hearing
from stream_manager.streams.history import History
from stream_manager.streams.isolated import IsolatedOutput, order_of
from stream_manager.streams.media import Media
from stream_manager.streams.meeting import Met
from stream_manager.streams.parts import Part
from stream_manager.streams.recording import Commander, Recording
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.upkeep import Means, Upkeep
from stream_manager.streams.watch import Watch
from stream_manager.streams.worker import Worker
from stream_manager.supervision import Supervisor


class Stream:
    """One stream under `supervisor`. It is STOPPED until `want(up=True)`."""

    def __init__(
        self,
        settings: StreamSettings,
        *,
        supervisor: Supervisor,
        means: Means,
        keeper: IndexKeeper,
        counters: Counters,
    ) -> None:
        store, clock = means.store, means.clock
        self.settings = settings
        self.id = settings.spec.id
        self.source_id = f"{self.id}/source"
        self.record_id = f"{self.id}/record"
        self.history = History(self.id, store=store, clock=clock)
        self._recording = Recording(settings, keeper=keeper, clock=clock)
        self._supervisor = supervisor
        self._clock = clock
        self._counters = counters
        self._snapshots = Snapshots(settings, store=store, clock=clock)
        order = Spawn(
            stream=self.id,
            instance=store.instance_id(),
            epoch=0,
            digest=settings.digest,
            socket_path="",
            log_path=str(means.evidence.log_dir / f"{self.id}.log"),
            secrets=settings.spec.secrets,
        )
        upkeep = Upkeep(
            order,
            limits=settings.limits,
            recorded=settings.spec.record is not None,
            snapshots=self._snapshots,
            means=means,
            fail=self._fail,
        )
        self.limits, self.casebook = upkeep.limits, upkeep.casebook
        self.worker = Worker(order, self, upkeep, means)
        self._watch = Watch(
            settings,
            snapshots=self._snapshots,
            record_of=self.record_of,
            post=self.post,
            hung=self._hangs,
        )
        self._hearing = Hearing(
            settings,
            watch=self._watch,
            recording=self._recording,
            snapshots=self._snapshots,
            history=self.history,
            limits=self.limits,
            casebook=self.casebook,
            record_of=self.record_of,
            post=self.post,
        )
        self._handovers = Handovers(
            settings,
            order,
            limited=upkeep.limited,
            worker=self.worker,
            watch=self._watch,
            recording=self._recording,
            snapshots=self._snapshots,
            means=means,
            record_of=self.record_of,
            post=self.post,
        )
        self.isolated = {
            f"{self.id}/{output.id}": IsolatedOutput(
                output,
                order_of(output, order),
                host=self.worker,
                limits=settings.limits,
                snapshots=self._snapshots,
                means=means,
                post=self.post,
                judge=self._watch.judge_output,
            )
            for output in settings.spec.outputs
            if output.isolate
        }
        self._join()
        counters.take_up(supervisor, self.ids)
        self.told = {id_: self.record_of(id_) for id_ in self.ids}

    def _join(self) -> None:
        """Become components."""
        for spec in components(self.settings):
            part = Part(spec.id, self.worker, post=self.post, order=self._order, begun=self._begun)
            performer = part if spec.inside else self.isolated.get(spec.id, self.worker)
            self._supervisor.enlist(spec, performer, epoch=self._snapshots.epoch(spec.id))

    def leave(self) -> None:
        """Stop being components; only when stopped."""
        for casebook in self.casebooks:
            casebook.close()
        for id_ in reversed(self.ids):
            self._supervisor.dismiss(id_)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The processes, the stream's first."""
        return (self.worker, *(it.worker for it in self.isolated.values()))

    @property
    def casebooks(self) -> tuple[Casebook, ...]:
        """What is known of the processes, the worker's first."""
        return (self.casebook, *(it.casebook for it in self.isolated.values()))

    @property
    def ids(self) -> tuple[str, ...]:
        """The components, the worker first."""
        return (self.id, self.source_id, *self.output_ids)

    @property
    def output_ids(self) -> tuple[str, ...]:
        """The components that are outputs."""
        spec = self.settings.spec
        record = (self.record_id,) if spec.record is not None else ()
        return (*record, *(f"{self.id}/{output.id}" for output in spec.outputs))

    def record_of(self, id_: str) -> Record:
        """Return what the recovery core knows of one of the components.

        People are shown `told` instead, the record after its last decision that was followed here:
        else a stream is healthy for them while the outage that this ended still lasts.
        """
        return self._supervisor.recovery.records[id_]

    def incident_of(self, id_: str) -> Incident | None:
        """Return the incident of a domain in which one of the components waits, or None."""
        return self._supervisor.recovery.incident_of(id_)

    @property
    def media(self) -> Media:
        """What it has brought."""
        return self._hearing.media

    @property
    def outputs(self) -> Mapping[str, OutputProgress]:
        """The newest report of each output, by component."""
        return self._hearing.outputs

    @property
    def missing(self) -> frozenset[str]:
        """The promised tracks that do not flow."""
        return self._watch.missing

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks of the newest run."""
        return self._watch.tracks

    def want(self, *, up: bool, by: Commander = "operator") -> None:
        """Start the stream, or stop it: the worker first, which takes its parts along."""
        resumed = self._counters.resume(self._supervisor, self.ids) if up else []
        self._recording.wanted(up=up, by=by, outage=self.history.wanted(up=up))
        self._tell_what_lasts(resumed)
        for id_ in self.ids:
            self.post(Wanted(id=id_, up=up, digest=self.settings.digest))

    def restart(self) -> None:
        """Replace the worker by an operator's command, all counters cleared."""
        restart = Restart(id=self.id)
        if self._handovers.begin("an operator's restart", lambda: self.post(restart)):
            self.post(Reset(id=self.id))

    def suits(self, hello: Hello) -> bool:
        """Tell whether a worker, and what runs in it, is the newest of this stream."""
        parts = {f"{self.id}/{it.part}": it.epoch for it in hello.parts}
        return parts.keys() <= set(self.ids) and all(
            epoch >= self.record_of(id_).epoch
            for id_, epoch in {self.id: hello.epoch, **parts}.items()
        )

    def quit(self, grace_s: float) -> None:
        """Tell every process to finish its files and end, whatever else is under way."""
        for worker in self.workers:
            worker.send(Quit(grace_s=grace_s))
        self._handovers.quit(grace_s)

    def adopt(self, met: Met) -> None:
        """Go on with a worker that suits and has outlived its manager, and with what runs in it.

        What holds of its parts, and what happened meanwhile, it tells next, in the usual way.
        """
        hello = met.hello
        self._recording.adopted()
        self.history.wanted(up=True)
        self.history.last_media_s = hello.last_media_s
        worker = self._adopted(self.id, hello.epoch, ending=False)
        parts = [
            self._adopted(id_, it.epoch, ending=it.ending or id_ in self.isolated)
            for it in hello.parts
            if (id_ := f"{self.id}/{it.part}")
        ]
        if worker.ending:
            parts.clear()  # they go down with it
        alive = {it.id for it in (worker, *parts)}
        resumed = self._counters.resume(self._supervisor, self.ids)
        self.worker.adopt(met)
        self.post(worker)
        self.post(Started(id=self.id, epoch=hello.epoch))
        for part in parts:
            self.post(part)
        self._tell_what_lasts([it for it in resumed if it.spec.id not in alive])
        for id_ in self.ids:
            self.post(Wanted(id=id_, up=True, digest=self.settings.digest))

    def _adopted(self, id_: str, epoch: int, *, ending: bool) -> Adopted:
        self._snapshots.note_epoch(id_, epoch)
        return Adopted(
            id=id_,
            epoch=epoch,
            digest=self.settings.digest,
            ending=ending or self._counters.was_ending(id_, epoch),
        )

    def _tell_what_lasts(self, resumed: list[Record]) -> None:
        """Tell of faults that no decision will: by them components are down since before."""
        self.told |= {it.spec.id: it for it in resumed}
        now_s = self._clock.monotonic_s()
        # One of another configuration is about to start clean.
        same = [it for it in resumed if it.digest == self.settings.digest]
        if fault := why_down(same, now_s):
            self._recording.lasts(fault)
        if fault := why_down([it for it in same if it.spec.id not in self.output_ids], now_s):
            self.history.lasts(fault)

    def look(self, *, lag_s: float) -> None:
        """Find a worker that has gone silent or takes too much; `lag_s` is our own lateness."""
        self.limits.look(self.worker.pid)
        self._handovers.look(lag_s=lag_s)
        if self.record_of(self.id).phase in UP:
            self.worker.look(lag_s=lag_s)
        for output in self.isolated.values():
            output.look(lag_s=lag_s, runs=self.record_of(output.id).phase in UP)

    # --- what the worker's process says ---------------------------------------------------------

    def post(self, event: Event) -> None:
        """Pass a fact on; an outage that it begins is counted from the last of the media."""
        if isinstance(event, Failed):
            self.history.last_media_s = self.worker.last_media_s or self.history.last_media_s
        self._supervisor.post(event)

    def died(self) -> None:
        """Note that it is gone."""
        self._hearing.died()

    def hear(self, message: FromWorker) -> None:
        """Take in what it says, of the feeds of isolated outputs too."""
        match message:
            case FeedReady() | PartStarted() | PartFailed() | PartGone() if (
                isolated := self.isolated.get(f"{self.id}/{message.part}")
            ):
                isolated.fed(message)
            case _:
                self._hearing.hear(message)

    async def written(self) -> bool:
        """Return whether what was heard of files is on disk, once that is known."""
        return await self._recording.written()

    # --- what was decided -----------------------------------------------------------------------

    def decided(self, decision: Decision) -> Outage | None:
        """Follow a decision about one of the components; return the outage that it ended."""
        id_, before, after = decision.after.spec.id, decision.before, decision.after
        self.told[id_] = after
        self._handovers.decided(decision)
        is_news = self.isolated.get(id_, self).casebook.decided(decision)
        if id_ == self.id and isinstance(decision.event, Restart | Reset):
            for isolated in self.isolated:  # as it does for children
                self.post(Reset(id=isolated))
        if id_ == self.id and after.last is not before.last and _hangs_inside(after):
            self.worker.condemn()
        elif is_news and id_ == self.record_id and _stalled(after):
            self.worker.examine()
        if id_ not in self.output_ids or id_ == self.record_id:
            self._recording.decided(decision)
        if id_ in self.output_ids:
            return None
        self.history.decided(decision)
        if id_ != self.source_id:
            return None
        if decision.rule == "stable":
            self._watch.stable()
        if before.phase is not after.phase is Phase.RUNNING:
            return self._verified()
        return None

    def _verified(self) -> Outage | None:
        outage = self.history.proven(self._watch.verified())
        self._recording.repaired(outage)
        return outage

    def _hangs(self, why: str) -> None:
        self.worker.hung(why)

    def _fail(self, fault: Fault) -> None:
        failed = Failed(id=self.id, epoch=self.record_of(self.id).epoch, fault=fault)
        if fault.code == "restart-above":
            self._handovers.begin(fault.text, lambda: self.post(failed))
        else:
            self.post(failed)

    def _begun(self, action: Start) -> bool:
        """Tell whether a successor that took over has begun this already, and what became of it."""
        said = self._handovers.said(action)
        if said is None:
            return False
        self._snapshots.note_epoch(action.id, action.epoch)
        for message in said:
            self._hearing.hear(message)
        return True

    def _order(self, action: Start) -> StartSource | StartRecord | StartCustom:
        spec = self.settings.spec
        if action.id == self.source_id:
            waits = spec.record is not None and self.record_of(self.record_id).phase is Phase.PARKED
            return self._snapshots.source_order(action, hold=waits)
        if action.id == self.record_id:
            assert spec.record is not None
            return self._snapshots.record_order(action, spec.record)
        output = next(it for it in spec.outputs if f"{self.id}/{it.id}" == action.id)
        return self._snapshots.custom_order(action, output)


def _hangs_inside(worker: Record) -> bool:
    """Tell whether a worker was ended because a part of it does not let itself be torn down."""
    return worker.last is not None and worker.last.fault.origin == "teardown"


def _stalled(output: Record) -> bool:
    """Tell whether an output takes nothing more, though it does not say why."""
    return output.last is not None and output.last.fault.code == "stall"
