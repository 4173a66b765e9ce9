"""One stream, the manager's side: its three components, what they say, what they cost.

worker messages -> events for the supervisor      (facts about parts, by their epoch)
progress        -> pulse -> Proved, or a stall    (media alone proves anything)
decisions       -> history, snapshots             (what it cost, what to go on from)
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from stream_manager.clock import Clock
from stream_manager.config import StreamSettings
from stream_manager.evidence import Examination, Keeper
from stream_manager.health import BORNE_FOR_S, Outage, Pulse, Stall
from stream_manager.pipelines.messages import (
    FromWorker,
    Graph,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    SegmentClosed,
    SegmentOpened,
    Spawn,
    StartCustom,
    StartRecord,
    StartSource,
    Track,
)
from stream_manager.pipelines.spec import CustomSpec, RtspSource
from stream_manager.recordings import IndexKeeper
from stream_manager.recovery import (
    UP,
    Decision,
    Event,
    Failed,
    Fault,
    Gone,
    Incident,
    Phase,
    Proved,
    Record,
    Spec,
    Start,
    Started,
    Wanted,
)
from stream_manager.store import Store
from stream_manager.streams.casebook import Casebook
from stream_manager.streams.counters import Counters, why_down
from stream_manager.streams.domains import WORKER_DOMAINS, record_domains, source_domains
from stream_manager.streams.history import History
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.limits import KernelMemory, LimitWatch
from stream_manager.streams.media import Media
from stream_manager.streams.parts import Part
from stream_manager.streams.processes import boot_id, start_ticks
from stream_manager.streams.recording import Commander, Recording
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.worker import Worker
from stream_manager.supervision import Supervisor

# A worker that says nothing for this long hangs; it reports five times a second.
HANG_AFTER_S = 1.5
# This share of a start's deadline is left to the first keyframe.
KEYFRAME_SHARE = 0.8
# An output that takes nothing for this long, while the source brings media, is stalled.
OUTPUT_SILENT_S = 5.0


class Stream:
    """One stream under `supervisor`. It is STOPPED until `want(up=True)`."""

    def __init__(
        self,
        settings: StreamSettings,
        *,
        supervisor: Supervisor,
        store: Store,
        launcher: Launcher,
        kernel: KernelMemory,
        clock: Clock,
        socket_dir: Path,
        evidence: Keeper,
        keeper: IndexKeeper,
        counters: Counters,
    ) -> None:
        self.settings = settings
        self.id = settings.spec.id
        self.source_id = f"{self.id}/source"
        self.record_id = f"{self.id}/record"
        self.history = History(self.id, store=store, clock=clock)
        self._recording = Recording(settings, keeper=keeper, clock=clock)
        self.media = Media()
        self.outputs: dict[str, OutputProgress] = {}  # by component
        self._supervisor = supervisor
        self._store = store
        self._clock = clock
        self._counters = counters
        self._tracks: tuple[Track, ...] = ()
        self._pulse: Pulse | None = None
        self._pulse_epoch = 0
        self._accept_missing = False
        self._proved: dict[str, int] = {}
        self._snapshots = Snapshots(settings, store=store, clock=clock)
        self.limits = LimitWatch(
            settings.limits,
            recorded=settings.spec.record is not None,
            log=evidence.log_dir / f"{self.id}.log",
            kernel=kernel,
            clock=clock,
            fail=lambda fault: self._failed(self.id, self.record_of(self.id).epoch, fault),
        )
        order = Spawn(
            stream=self.id,
            instance=store.instance_id(),
            epoch=0,
            socket_path="",
            log_path=str(evidence.log_dir / f"{self.id}.log"),
            secrets=settings.spec.secrets,
        )
        self.casebook = Casebook(order, keep=evidence.keep, clock=clock)
        self.worker = Worker(order, self, socket_dir=socket_dir, launcher=launcher, clock=clock)
        self._join()
        counters.take_up(supervisor, self.ids)
        self.told = {id_: self.record_of(id_) for id_ in self.ids}

    def _join(self) -> None:
        """Become components: the worker, proven by its source, and what needs them."""
        policy = self.settings.policy
        worker = Spec(id=self.id, policy=policy, proven_by=self.source_id, domains=WORKER_DOMAINS)
        self._supervisor.enlist(worker, self.worker, epoch=self._snapshots.epoch(self.id))
        source = Spec(
            id=self.source_id,
            policy=policy,
            parent=self.id,
            needs=(self.id,),
            inside=True,
            domains=source_domains(self.settings),
        )
        part = Part(self.source_id, self.worker, post=self.post, order=self._source_order)
        self._supervisor.enlist(source, part, epoch=self._snapshots.epoch(self.source_id))
        if self.settings.spec.record is not None:
            self._join_output(self.record_id, self._record_order, record_domains(self.settings))
        for output in self.settings.spec.outputs:
            self._join_output(f"{self.id}/{output.id}", partial(self._custom_order, output))

    def _join_output(
        self,
        id_: str,
        order: Callable[[Start], StartRecord | StartCustom],
        domains: tuple[str, ...] = (),
    ) -> None:
        output = Spec(
            id=id_,
            policy=self.settings.policy,
            parent=self.id,
            needs=(self.id, self.source_id),
            inside=True,
            domains=domains,
        )
        part = Part(id_, self.worker, post=self.post, order=order)
        self._supervisor.enlist(output, part, epoch=self._snapshots.epoch(id_))

    def leave(self) -> None:
        """Stop being components; only when stopped."""
        self.casebook.close()
        for id_ in reversed(self.ids):
            self._supervisor.dismiss(id_)

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
    def missing(self) -> frozenset[str]:
        """The promised tracks that do not flow."""
        return self._pulse.missing if self._pulse is not None else frozenset()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks of the newest run."""
        return self._tracks

    def want(self, *, up: bool, by: Commander = "operator") -> None:
        """Start the stream, or stop it: the worker first, which takes its parts along."""
        resumed = self._counters.resume(self._supervisor, self.ids) if up else []
        self._recording.wanted(up=up, by=by, outage=self.history.wanted(up=up))
        self._tell_what_lasts(resumed)
        for id_ in self.ids:
            self.post(Wanted(id=id_, up=up, digest=self.settings.digest))

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
        heard_s = self.worker.heard_s
        if heard_s is None or self.record_of(self.id).phase not in UP:
            return
        silent_s = self._clock.monotonic_s() - heard_s
        if silent_s > HANG_AFTER_S + lag_s:
            self.worker.hung(f"the worker has said nothing for {silent_s:.1f} s")

    # --- what the worker's process says ---------------------------------------------------------

    def post(self, event: Event) -> None:
        """Pass a fact on."""
        self._supervisor.post(event)

    def born(self, pid: int, epoch: int) -> None:
        """Note a new process, so that a later manager can find it."""
        self._store.save_worker(self.id, pid, start_ticks(pid) or 0, boot_id(), epoch)
        self._snapshots.note_epoch(self.id, epoch)
        self.casebook.born(pid, epoch)
        self.limits.born()

    def limited(self, order: Spawn) -> Spawn:
        """Return the order with the limits of its process."""
        return self.limits.limited(order)

    def end_of(self, order: Spawn, exit_code: int | None) -> Fault:
        """Return what the end of a process was."""
        return self.limits.end_of(order, exit_code)

    def died(self) -> None:
        """Note that it is gone."""
        self._store.forget_worker(self.id)
        self._recording.ended()
        self.outputs = {}

    def ended(self, epoch: int, how: str) -> None:
        """Note how a process ended, in words."""
        self.casebook.ended(epoch, how)

    def examined(self, epoch: int, examination: Examination) -> None:
        """Note what was seen of a process that hangs."""
        self.casebook.examined(epoch, examination)

    def hear(self, message: FromWorker) -> None:
        """Turn what the worker says into events."""
        match message:
            case Progress():
                self._progress(message)
            case PartStarted():
                self._part_started(message)
            case PartFailed():
                fault = Fault(
                    origin=message.origin,
                    code=message.code,
                    status=message.status,
                    text=message.text,
                )
                self._failed(f"{self.id}/{message.part}", message.epoch, fault)
            case PartGone():
                self._part_gone(message)
            case Graph():
                self.casebook.drew(message)
            case SegmentOpened():
                self._recording.opened(message)
                self.limits.boundary()
            case SegmentClosed():
                self._recording.closed(message)
                self._snapshots.finished(message)

    def _part_started(self, message: PartStarted) -> None:
        id_ = f"{self.id}/{message.part}"
        if id_ == self.source_id and message.epoch == self.record_of(id_).epoch:
            self._tracks = message.tracks
            self._pulse_epoch = message.epoch
            self._pulse = Pulse(
                tracks=message.tracks,
                expected=self._snapshots.expected,
                verify_for_s=self.settings.policy.verify_for_s,
                stall_after_s=self.settings.stall_after_s,
                rhythms=self._snapshots.rhythms,
            )
        self.post(Started(id=id_, epoch=message.epoch))

    def _part_gone(self, message: PartGone) -> None:
        id_ = f"{self.id}/{message.part}"
        if id_ == self.record_id:
            self._recording.ended()
        self.post(Gone(id=id_, epoch=message.epoch, abandoned=message.abandoned))

    def _progress(self, report: Progress) -> None:
        pulse = self._pulse
        self.outputs = {f"{self.id}/{it.part}": it for it in report.outputs}
        if pulse is None or report.epoch != self._pulse_epoch:
            return
        self.media.count(report)
        lasts = [it.last_s for it in report.outputs if it.last_s is not None]
        stall = pulse.hear(
            report.tracks,
            at_s=report.at_s,
            late_s=report.late_s,
            output_last_s=max(lasts, default=None),
        )
        self.history.last_media_s = pulse.last_media_s or self.history.last_media_s
        if stall is not None and report.blocked is not None:
            self.worker.hung(_held_up(stall, report.blocked))
            return
        if stall is not None:
            self._failed(self.source_id, report.epoch, self._fault_of(stall))
            return
        if pulse.proven:
            self._prove(self.source_id, report.epoch)
        keyless_s = pulse.undecodable_for_s(report.at_s)
        if keyless_s > KEYFRAME_SHARE * self.settings.policy.start_deadline_s:
            text = f"pictures come, but no keyframe for {keyless_s:.0f} s"
            fault = Fault(origin="health", code="no-keyframe", text=text)
            self._failed(self.source_id, report.epoch, fault)
            return
        if pulse.missed_for_s(report.at_s) >= BORNE_FOR_S:
            self._miss(pulse, report.epoch)
        for id_, output in self.outputs.items():
            self._judge_output(id_, output, report.at_s)
        self._snapshots.keep(pulse, report.epoch, self._tracks, report.position_s)

    def _fault_of(self, stall: Stall) -> Fault:
        """Tell a camera that is silent from one that sends what no picture can be made of."""
        text = (
            f"no {stall.track} for {stall.silent_s * 1000:.0f} ms"
            f" (allowed {stall.allowed_s * 1000:.0f} ms)"
        )
        source = self.settings.spec.source
        lossless = isinstance(source, RtspSource) and source.transport == "tcp"
        if not (stall.packets and lossless):
            return Fault(origin="health", code="stall", text=text)
        text += f", though {stall.packets} packets of it arrived"
        return Fault(origin="health", code="undecodable", text=text)

    def _miss(self, pulse: Pulse, epoch: int) -> None:
        """Rebuild once for a track that is missing; without stability since, do without it."""
        if self._accept_missing:
            pulse.accept_missing()
            return
        self._accept_missing = True
        names = ", ".join(sorted(pulse.missing))
        fault = Fault(
            origin="health",
            code="track-missing",
            text=f"{names} missing for {BORNE_FOR_S:g} s while other tracks flow",
        )
        self._failed(self.source_id, epoch, fault)

    def _judge_output(self, id_: str, output: OutputProgress, at_s: float) -> None:
        if output.first_s is None or output.last_s is None:
            return
        if output.last_s - output.first_s >= self.settings.policy.verify_for_s:
            self._prove(id_, output.epoch)
        silent_s = at_s - output.last_s
        flowing = self.record_of(self.source_id).phase is Phase.RUNNING
        if flowing and silent_s > OUTPUT_SILENT_S:
            did = "written" if id_ == self.record_id else "taken"
            text = f"nothing {did} for {silent_s:.1f} s while the source brings media"
            fault = Fault(origin="health", code="stall", text=text)
            self._failed(id_, output.epoch, fault)

    def _prove(self, id_: str, epoch: int) -> None:
        if self._proved.get(id_) != epoch and self.record_of(id_).phase is Phase.VERIFYING:
            self._proved[id_] = epoch
            self.post(Proved(id=id_, epoch=epoch))

    def _failed(self, id_: str, epoch: int, fault: Fault) -> None:
        self.post(Failed(id=id_, epoch=epoch, fault=fault))

    # --- what was decided -----------------------------------------------------------------------

    def decided(self, decision: Decision) -> Outage | None:
        """Follow a decision about one of the components; return the outage that it ended."""
        id_, before, after = decision.after.spec.id, decision.before, decision.after
        self.told[id_] = after
        is_news = self.casebook.decided(decision)
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
            self._accept_missing = False
        if before.phase is not after.phase is Phase.RUNNING:
            return self._verified()
        return None

    def _verified(self) -> Outage | None:
        pulse = self._pulse
        if pulse is None:
            return None
        self._snapshots.save(pulse, self._pulse_epoch, self._tracks)
        outage = self.history.proven(pulse.first_picture_s)
        self._recording.repaired(outage)
        return outage

    def _source_order(self, action: Start) -> StartSource:
        recorded = self.settings.spec.record is not None
        waits = recorded and self.record_of(self.record_id).phase is Phase.PARKED
        return self._snapshots.source_order(action, hold=waits)

    def _record_order(self, action: Start) -> StartRecord:
        record = self.settings.spec.record
        assert record is not None
        return self._snapshots.record_order(action, record)

    def _custom_order(self, output: CustomSpec, action: Start) -> StartCustom:
        return self._snapshots.custom_order(action, output)


def _hangs_inside(worker: Record) -> bool:
    """Tell whether a worker was ended because a part of it does not let itself be torn down."""
    return worker.last is not None and worker.last.fault.origin == "teardown"


def _stalled(output: Record) -> bool:
    """Tell whether an output takes nothing more, though it does not say why."""
    return output.last is not None and output.last.fault.code == "stall"


def _held_up(stall: Stall, blocked: str) -> str:
    """Say what no camera can be blamed for: it takes the end of the process to free that."""
    return (
        f"{blocked} does not let go of a buffer: no {stall.track} for"
        f" {stall.silent_s * 1000:.0f} ms"
    )
