"""What a stream's worker says: facts about its parts and files, and reports of media.

messages -> events for the supervisor   (facts about parts, by their epoch)
         -> the index                   (files)
         -> the casebook, the limits    (what a part looked like, where a file begins)
         -> Watch                       (media alone proves anything)
"""

from collections.abc import Callable

from stream_manager.config import StreamSettings
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
)
from stream_manager.recovery import Event, Failed, Fault, Gone, Record, Started
from stream_manager.streams.casebook import Casebook
from stream_manager.streams.history import History
from stream_manager.streams.limits import LimitWatch
from stream_manager.streams.media import Media
from stream_manager.streams.recording import Recording
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.watch import Watch


class Hearing:
    """Takes in what one stream's worker says.

    watch: judges its media. record_of: tells what the recovery core knows of a component.
    outputs: the newest report of each, by component.
    """

    def __init__(
        self,
        settings: StreamSettings,
        *,
        watch: Watch,
        recording: Recording,
        snapshots: Snapshots,
        history: History,
        limits: LimitWatch,
        casebook: Casebook,
        record_of: Callable[[str], Record],
        post: Callable[[Event], None],
    ) -> None:
        self._id = settings.spec.id
        self._records = settings.spec.record is not None
        self._isolated = frozenset(it.id for it in settings.spec.outputs if it.isolate)
        self._watch = watch
        self._recording = recording
        self._snapshots = snapshots
        self._history = history
        self._limits = limits
        self._casebook = casebook
        self._record_of = record_of
        self._post = post
        self.media = Media()
        self.outputs: dict[str, OutputProgress] = {}

    def died(self) -> None:
        """Know that the worker is gone, and what it left open with it."""
        if self._records:
            self._recording.ended(up_to(self._record_of(f"{self._id}/record").epoch))
        self.outputs = {}

    def hear(self, message: FromWorker) -> None:
        """Turn a message into events and notes."""
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
                self._post(Failed(id=self._name(message), epoch=message.epoch, fault=fault))
            case PartGone():
                self._part_gone(message)
            case Graph():
                self._casebook.drew(message)
            case SegmentOpened():
                self._recording.opened(message)
                self._limits.boundary()
            case SegmentClosed():
                self._recording.closed(message)
                self._snapshots.finished(message)

    def _part_started(self, message: PartStarted) -> None:
        id_ = self._name(message)
        # Of an adopted one the core may know a moment later which epoch it has.
        if message.part == "source" and message.epoch >= self._record_of(id_).epoch:
            self._watch.begin(message.epoch, message.tracks)
        self._post(Started(id=id_, epoch=message.epoch))

    def _part_gone(self, message: PartGone) -> None:
        if message.part == "record":
            self._recording.ended(up_to(message.epoch))
        self._post(Gone(id=self._name(message), epoch=message.epoch, abandoned=message.abandoned))

    def _progress(self, report: Progress) -> None:
        own = (it for it in report.outputs if it.part not in self._isolated)
        self.outputs = {f"{self._id}/{it.part}": it for it in own}
        if not self._watch.follows(report):
            return
        self.media.count(report)
        self._watch.hear(report, self.outputs)
        self._history.last_media_s = self._watch.last_media_s or self._history.last_media_s

    def _name(self, message: PartStarted | PartFailed | PartGone) -> str:
        return f"{self._id}/{message.part}"


def up_to(epoch: int) -> range:
    """Return the epochs until this one."""
    return range(epoch + 1)
