"""Is this run of a source proven, and does its media still flow? Judged from counted buffers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream_manager.health.rhythm import Rhythm
from stream_manager.pipelines.messages import TrackProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A track that was silent for longer than it may be."""

    track: str
    silent_s: float
    allowed_s: float


class Pulse:
    """Judges one run (one epoch) of a source by the worker's reports.

    rhythms: what earlier runs learned, by track. stall_after_s: a fixed limit; None learns it.
    """

    def __init__(
        self,
        *,
        tracks: Iterable[str],
        verify_for_s: float,
        stall_after_s: float | None,
        rhythms: Mapping[str, Rhythm],
    ) -> None:
        self._verify_for_s = verify_for_s
        self._stall_after_s = stall_after_s
        self.rhythms: dict[str, Rhythm] = {name: rhythms.get(name, Rhythm()) for name in tracks}
        self._frames: dict[str, int] = dict.fromkeys(self.rhythms, 0)
        self._silent: set[str] = set()
        self.first_media_s: float | None = None
        self.proven = False

    def allowed_s(self, track: str) -> float:
        """Return the silence that `track` may show."""
        if self._stall_after_s is not None:
            return self._stall_after_s
        return self.rhythms[track].stall_after_s

    def hear(
        self,
        readings: Iterable[TrackProgress],
        *,
        at_s: float,
        late_s: float,
        output_last_s: float | None,
    ) -> Stall | None:
        """Take one report in; return a stall that two signals agree about, or None.

        at_s: when the worker made the report, by its own clock, so that a manager that is late
        sees no stall; late_s: how late the worker itself was, which excuses as much silence.
        output_last_s: the newest write of any output. Silence in the source counts only if the
        outputs are silent too or other tracks flow, and only in the second report in a row.
        """
        known = [reading for reading in readings if reading.name in self.rhythms]
        for reading in known:
            self._learn(reading)
        begun = [reading.first_s for reading in known if reading.first_s is not None]
        if begun and self.first_media_s is None:
            self.first_media_s = min(begun)
        stalls = {
            stall.track: stall
            for reading in known
            if (stall := self._silence(reading, at_s, late_s)) is not None
        }
        confirmed = [stall for track, stall in stalls.items() if track in self._silent]
        self._silent = set(stalls)
        if not self.proven:
            self.proven = not stalls and len(known) > 0 and all(map(self._verified, known))
        if not confirmed:
            return None
        worst = max(confirmed, key=lambda stall: stall.silent_s)
        outputs_flow = output_last_s is not None and at_s - output_last_s <= worst.allowed_s
        if outputs_flow and len(stalls) == len(known):
            return None
        return worst

    def _learn(self, reading: TrackProgress) -> None:
        new = reading.frames - self._frames[reading.name]
        self._frames[reading.name] = reading.frames
        self.rhythms[reading.name] = self.rhythms[reading.name].heard(
            new,
            mean_s=reading.gap_mean_s,
            deviation_s=reading.gap_deviation_s,
            longest_s=reading.gap_max_s,
        )

    def _silence(self, reading: TrackProgress, at_s: float, late_s: float) -> Stall | None:
        if reading.last_s is None:
            return None  # nothing yet: the start deadline judges that
        silent_s = at_s - reading.last_s
        allowed_s = self.allowed_s(reading.name)
        if silent_s <= allowed_s + late_s:
            return None
        return Stall(track=reading.name, silent_s=silent_s, allowed_s=allowed_s)

    def _verified(self, reading: TrackProgress) -> bool:
        if reading.first_s is None or reading.last_s is None:
            return False
        return reading.last_s - reading.first_s >= self._verify_for_s
