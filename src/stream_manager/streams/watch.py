"""What a stream's media proves, and when its silence is a fault: reports in, facts out."""

import math
from collections.abc import Callable, Mapping

from stream_manager.config import StreamSettings
from stream_manager.health import BORNE_FOR_S, Pulse, Stall
from stream_manager.pipelines.messages import OutputProgress, Progress, Track
from stream_manager.pipelines.spec import RtspSource
from stream_manager.recovery import Event, Failed, Fault, Phase, Proved, Record
from stream_manager.streams.snapshots import Snapshots

# Of what the first picture leaves of a start's deadline, this share is left to the first keyframe.
KEYFRAME_SHARE = 0.8
# An output that takes nothing for this long, while the source brings media, is stalled.
OUTPUT_SILENT_S = 5.0


class Watch:
    """Judges the reports of one stream's worker; media alone proves anything.

    record_of: tells what the recovery core knows of a component. hung: takes why the worker hangs.
    """

    def __init__(
        self,
        settings: StreamSettings,
        *,
        snapshots: Snapshots,
        record_of: Callable[[str], Record],
        post: Callable[[Event], None],
        hung: Callable[[str], None],
    ) -> None:
        self._hung = hung
        self._settings = settings
        self._source_id = f"{settings.spec.id}/source"
        self._record_id = f"{settings.spec.id}/record"
        self._snapshots = snapshots
        self._record_of = record_of
        self._post = post
        self._pulse: Pulse | None = None
        self._epoch = 0
        self._accept_missing = False
        self._proved: dict[str, int] = {}
        self.tracks: tuple[Track, ...] = ()

    @property
    def missing(self) -> frozenset[str]:
        """The promised tracks that do not flow."""
        return self._pulse.missing if self._pulse is not None else frozenset()

    @property
    def last_media_s(self) -> float | None:
        """When the newest run last brought video; None before it did."""
        return self._pulse.last_media_s if self._pulse is not None else None

    def begin(self, epoch: int, tracks: tuple[Track, ...]) -> None:
        """Watch a new run of the source, which has these tracks."""
        self.tracks = tracks
        self._epoch = epoch
        self._pulse = self.pulse(tracks)

    def pulse(self, tracks: tuple[Track, ...]) -> Pulse:
        """Return what judges a run of the source that has these tracks."""
        return Pulse(
            tracks=tracks,
            expected=self._snapshots.expected,
            verify_for_s=self._settings.policy.verify_for_s,
            stall_after_s=self._settings.stall_after_s,
            rhythms=self._snapshots.rhythms,
        )

    def follows(self, report: Progress) -> bool:
        """Tell whether a report is about the run that is watched."""
        return self._pulse is not None and report.epoch == self._epoch

    def hear(self, report: Progress, outputs: Mapping[str, OutputProgress]) -> None:
        """Take in a report about that run, and what it says of outputs, by component."""
        pulse = self._pulse
        assert pulse is not None
        lasts = [it.last_s for it in outputs.values() if it.last_s is not None]
        stall = pulse.hear(
            report.tracks,
            at_s=report.at_s,
            late_s=report.late_s,
            output_last_s=max(lasts, default=None),
        )
        if stall is not None and report.blocked is not None:
            self._hung(_held_up(stall, report.blocked))
            return
        if stall is not None:
            self._failed(self._source_id, report.epoch, self._fault_of(stall))
            return
        if pulse.proven:
            self._prove(self._source_id, report.epoch)
        keyless_s = pulse.undecodable_for_s(report.at_s)
        if keyless_s and keyless_s > KEYFRAME_SHARE * (keyless_s + self._left_s(report.at_s)):
            text = f"pictures come, but no keyframe for {keyless_s:.0f} s"
            fault = Fault(origin="health", code="no-keyframe", text=text)
            self._failed(self._source_id, report.epoch, fault)
            return
        if pulse.missed_for_s(report.at_s) >= BORNE_FOR_S:
            self._miss(pulse)
        for id_, output in outputs.items():
            self.judge_output(id_, output, report.at_s)
        self._snapshots.keep(pulse, self._epoch, self.tracks, report.position_s)

    def _left_s(self, at_s: float) -> float:
        """Return what is left of the source's start at an instant; of none that starts: no end."""
        record = self._record_of(self._source_id)
        starts = record.phase in {Phase.STARTING, Phase.VERIFYING}
        return record.due_s - at_s if starts and record.due_s is not None else math.inf

    def stable(self) -> None:
        """Know that the source is forgiven: a missing track may be rebuilt for once more."""
        self._accept_missing = False

    def verified(self) -> float | None:
        """Save what the verified run goes on from; return when its first picture came."""
        pulse = self._pulse
        assert pulse is not None, "only reports prove a run"
        self._snapshots.save(pulse, self._epoch, self.tracks)
        return pulse.first_picture_s

    def _fault_of(self, stall: Stall) -> Fault:
        """Tell a camera that is silent from one that sends what no picture can be made of."""
        text = (
            f"no {stall.track} for {stall.silent_s * 1000:.0f} ms"
            f" (allowed {stall.allowed_s * 1000:.0f} ms)"
        )
        source = self._settings.spec.source
        lossless = isinstance(source, RtspSource) and source.transport == "tcp"
        if not (stall.packets and lossless):
            return Fault(origin="health", code="stall", text=text)
        text += f", though {stall.packets} packets of it arrived"
        return Fault(origin="health", code="undecodable", text=text)

    def _miss(self, pulse: Pulse) -> None:
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
        self._failed(self._source_id, self._epoch, fault)

    def judge_output(self, id_: str, output: OutputProgress, at_s: float) -> None:
        """Prove an output by what it has taken until `at_s`, or find it stalled."""
        if output.first_s is None or output.last_s is None:
            return
        if output.last_s - output.first_s >= self._settings.policy.verify_for_s:
            self._prove(id_, output.epoch)
        silent_s = at_s - output.last_s
        flowing = self._record_of(self._source_id).phase is Phase.RUNNING
        if flowing and silent_s > OUTPUT_SILENT_S:
            did = "written" if id_ == self._record_id else "taken"
            text = f"nothing {did} for {silent_s:.1f} s while the source brings media"
            fault = Fault(origin="health", code="stall", text=text)
            self._failed(id_, output.epoch, fault)

    def _prove(self, id_: str, epoch: int) -> None:
        if self._proved.get(id_) != epoch and self._record_of(id_).phase is Phase.VERIFYING:
            self._proved[id_] = epoch
            self._post(Proved(id=id_, epoch=epoch))

    def _failed(self, id_: str, epoch: int, fault: Fault) -> None:
        self._post(Failed(id=id_, epoch=epoch, fault=fault))


def _held_up(stall: Stall, blocked: str) -> str:
    """Say what no camera can be blamed for: it takes the end of the process to free that."""
    return (
        f"{blocked} does not let go of a buffer: no {stall.track} for"
        f" {stall.silent_s * 1000:.0f} ms"
    )
