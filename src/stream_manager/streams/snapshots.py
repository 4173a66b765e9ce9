"""What one stream goes on from: saved while it runs, given to the next run, set aside if bad."""

from collections.abc import Mapping

from stream_manager.clock import Clock
from stream_manager.config import StreamSettings
from stream_manager.health import Pulse, Rhythm
from stream_manager.pipelines.messages import (
    SegmentClosed,
    StartCustom,
    StartRecord,
    StartSource,
    Track,
)
from stream_manager.pipelines.spec import CustomSpec, RecordSpec
from stream_manager.recovery import Start
from stream_manager.store import Store

# How often the position in a file, and what was learned of a live source, is saved.
POSITION_EVERY_S = 0.8  # with every report, which are a second apart
RHYTHM_EVERY_S = 60.0
# What a snapshot of a component that never ran holds: nothing that could be at fault.
BARE = {"epoch", "digest"}


class Snapshots:
    """The snapshots of a stream's components; those of another configuration are not used.

    expected: the tracks of the last verified run. rhythms: how those tracks usually arrive.
    """

    def __init__(self, settings: StreamSettings, *, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._source_id = f"{settings.spec.id}/source"
        self._record_id = f"{settings.spec.id}/record"
        self._saved_s = 0.0
        self._position_s: float | None = None
        source = self._usable(self._source_id)
        self.expected = _names(source.get("expected"))
        self.rhythms = _rhythms(source.get("rhythms"))

    def epoch(self, id_: str) -> int:
        """Return the last epoch that a component had, under any configuration."""
        epoch = (self._store.load_snapshot(id_) or {}).get("epoch")
        return epoch if isinstance(epoch, int) else 0

    def note_epoch(self, id_: str, epoch: int) -> None:
        """Keep a component's new epoch, and with it what was saved of the run before."""
        saved = self._usable(id_)
        self._store.save_snapshot(id_, {**saved, "epoch": epoch, "digest": self._settings.digest})

    def source_order(self, action: Start, *, hold: bool) -> StartSource:
        """Return what starts the source: a file goes on from where it was."""
        position_s = self._restored(action).get("position_s")
        return StartSource(
            epoch=action.epoch,
            source=self._settings.spec.source,
            position_s=position_s if isinstance(position_s, float) else 0.0,
            hold=hold,
        )

    def record_order(self, action: Start, record: RecordSpec) -> StartRecord:
        """Return what starts the recorder: its segments are numbered on."""
        return StartRecord(
            epoch=action.epoch, record=record, sequence=_sequence(self._restored(action))
        )

    @property
    def sequence(self) -> int:
        """The number of the segment after the last one that was finished."""
        return _sequence(self._usable(self._record_id))

    def custom_order(self, action: Start, output: CustomSpec) -> StartCustom:
        """Return what starts a custom output: nothing of an earlier run is of use to it."""
        self.note_epoch(action.id, action.epoch)
        return StartCustom(epoch=action.epoch, output=output)

    def keep(
        self, pulse: Pulse, epoch: int, tracks: tuple[Track, ...], position_s: float | None
    ) -> None:
        """Save a proven run's state if that is due; call it with every report.

        position_s: where a file source is; None for a live one.
        """
        self._position_s = position_s
        now_s = self._clock.monotonic_s()
        every_s = RHYTHM_EVERY_S if position_s is None else POSITION_EVERY_S
        if pulse.proven and now_s - self._saved_s >= every_s:
            self.save(pulse, epoch, tracks)

    def save(self, pulse: Pulse, epoch: int, tracks: tuple[Track, ...]) -> None:
        """Save a proven run's state now."""
        self._saved_s = self._clock.monotonic_s()
        self.expected = pulse.promised
        self.rhythms = dict(pulse.rhythms)
        self._store.save_snapshot(
            self._source_id,
            {
                "epoch": epoch,
                "digest": self._settings.digest,
                "expected": sorted(self.expected),
                "tracks": {it.name: f"{it.codec}: {it.caps}" for it in tracks},
                "position_s": self._position_s,
                "rhythms": {
                    name: [it.frames, it.mean_s, it.deviation_s, it.peak_s]
                    for name, it in self.rhythms.items()
                },
            },
        )

    def finished(self, segment: SegmentClosed) -> None:
        """Save the last finished segment and the number of the next one."""
        self._store.save_snapshot(
            self._record_id,
            {
                "epoch": segment.epoch,
                "digest": self._settings.digest,
                "sequence": segment.sequence + 1,
                "last_segment": segment.path,
            },
        )

    def _restored(self, action: Start) -> Mapping[str, object]:
        if not action.restore and self._usable(action.id).keys() - BARE:
            self._store.set_aside_snapshot(action.id, "two starts failed with it")
        saved = self._usable(action.id)
        self.note_epoch(action.id, action.epoch)
        return saved

    def _usable(self, id_: str) -> Mapping[str, object]:
        saved = self._store.load_snapshot(id_) or {}
        return saved if saved.get("digest") == self._settings.digest else {}


def _sequence(saved: Mapping[str, object]) -> int:
    sequence = saved.get("sequence")
    return sequence if isinstance(sequence, int) else 1


def _names(saved: object) -> frozenset[str]:
    return frozenset(saved) if isinstance(saved, list) else frozenset()


def _rhythms(saved: object) -> dict[str, Rhythm]:
    if not isinstance(saved, dict):
        return {}
    return {
        name: Rhythm(frames=frames, mean_s=mean_s, deviation_s=deviation_s, peak_s=peak_s)
        for name, (frames, mean_s, deviation_s, peak_s) in saved.items()
    }
