"""Is this run of a source proven, and does its media still flow? Judged from counted buffers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream_manager.health.rhythm import Rhythm, share
from stream_manager.pipelines.messages import Track, TrackProgress

# How long after the first media a promised track may still be silent before it is called missing,
# and how long a missing one is borne before the source is rebuilt for it.
MISSING_AFTER_S = 3.0
BORNE_FOR_S = 10.0
USUAL_SHARE = 0.5  # of the usual packets: as many tell of a sender that is as before
USUAL_WEIGHT = 0.02  # of a fifth of a second in what is usual: the last ten seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A video track that was silent for longer than it may be.

    packets: how many arrived meanwhile, at the usual pace and until just now, though no frame could
        be made of them; 0 when they have ceased too.
    """

    track: str
    silent_s: float
    allowed_s: float
    packets: int = 0


class Pulse:
    """Judges one run (one epoch) of a source by the worker's reports.

    expected: names of the tracks of the last verified run; with those present they are what this
        run must bring. rhythms: what earlier runs learned, by track.
    stall_after_s: a fixed limit of silence; None: learned.

    first_media_s: when anything came first; first_picture_s: the first keyframe, which is of use.
    """

    def __init__(
        self,
        *,
        tracks: Iterable[Track],
        expected: Iterable[str],
        verify_for_s: float,
        stall_after_s: float | None,
        rhythms: Mapping[str, Rhythm],
    ) -> None:
        present = tuple(tracks)
        self._video = {track.name for track in present if track.kind == "video"}
        self._promised = {track.name for track in present} | set(expected)
        self._verify_for_s = verify_for_s
        self._stall_after_s = stall_after_s
        self._frames = dict.fromkeys((track.name for track in present), 0)
        self._silent: set[str] = set()
        self._packets = dict.fromkeys(self._frames, (0, 0))  # of the two reports before
        self._packets_with_frame = dict.fromkeys(self._frames, 0)
        self._packets_per_s = dict.fromkeys(self._frames, 0.0)
        self._missing_since_s: float | None = None
        self.rhythms = {name: rhythms.get(name, Rhythm()) for name in self._frames}
        self.first_media_s: float | None = None
        self.first_picture_s: float | None = None
        self.last_media_s: float | None = None
        self.proven = False
        self._pictures_since_s: float | None = None
        self.missing: frozenset[str] = frozenset()

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
        output_last_s: the newest write of any output, None without outputs. Silence counts in the
        second report in a row, and only if the outputs are silent too or another track flows.
        A run that is not proven can't stall: its start has a deadline, and the rhythm that earlier
        runs learned may no longer be the camera's.
        """
        heard = {it.name: it for it in readings if it.name in self.rhythms}
        for reading in heard.values():
            self._learn(reading)
        firsts = [it.first_s for it in heard.values() if it.first_s is not None]
        if firsts and self.first_media_s is None:
            self.first_media_s = min(firsts)
        video = [it for it in heard.values() if it.name in self._video]
        self._pictures_since_s = _first(self._pictures_since_s, (it.first_s for it in video))
        self.first_picture_s = _first(self.first_picture_s, (it.key_s for it in video))
        lasts = [it.last_s for it in heard.values() if it.name in self._video and it.last_s]
        self.last_media_s = max(lasts, default=self.last_media_s)
        silences = {
            name: stall
            for name, it in heard.items()
            if (stall := self._silence(it, at_s, late_s)) is not None
        }
        self._packets |= {name: (self._packets[name][1], it.packets) for name, it in heard.items()}
        self._miss(heard, silences, at_s)
        self.proven = self.proven or self._verified(heard, silences)
        return self._stalled(heard, silences, at_s=at_s, output_last_s=output_last_s)

    def missed_for_s(self, at_s: float) -> float:
        """Return for how long something promised has been missing."""
        return 0.0 if self._missing_since_s is None else at_s - self._missing_since_s

    def accept_missing(self) -> None:
        """Take the tracks that flow as all that there is, from now on."""
        self._promised -= self.missing
        self.missing = frozenset()
        self._missing_since_s = None

    def undecodable_for_s(self, at_s: float) -> float:
        """Return for how long pictures have come without a keyframe, and so without a use."""
        if self._pictures_since_s is None or self.first_picture_s is not None:
            return 0.0
        return at_s - self._pictures_since_s

    @property
    def promised(self) -> frozenset[str]:
        """The tracks that this run has to bring."""
        return frozenset(self._promised)

    def _learn(self, reading: TrackProgress) -> None:
        new = reading.frames - self._frames[reading.name]
        self._frames[reading.name] = reading.frames
        if new:
            self._learn_packets(reading, new)
        self.rhythms[reading.name] = self.rhythms[reading.name].heard(
            new,
            mean_s=reading.gap_mean_s,
            deviation_s=reading.gap_deviation_s,
            longest_s=reading.gap_max_s,
        )

    def _learn_packets(self, reading: TrackProgress, frames: int) -> None:
        name, before = reading.name, self._packets_with_frame[reading.name]
        self._packets_with_frame[name] = reading.packets
        span_s = frames * reading.gap_mean_s
        if before and span_s:  # before the first pictures anything may have come
            newest = (reading.packets - before) / span_s
            weight = share(USUAL_WEIGHT, span_s) if self._packets_per_s[name] else 1.0
            self._packets_per_s[name] += weight * (newest - self._packets_per_s[name])

    def _silence(self, reading: TrackProgress, at_s: float, late_s: float) -> Stall | None:
        if reading.last_s is None:
            return None  # nothing yet: that is for the start deadline, or a missing track
        silent_s = at_s - reading.last_s
        allowed_s = self.allowed_s(reading.name)
        if silent_s <= allowed_s + late_s:
            return None
        return Stall(
            track=reading.name,
            silent_s=silent_s,
            allowed_s=allowed_s,
            packets=self._undecoded(reading, silent_s),
        )

    def _undecoded(self, reading: TrackProgress, silent_s: float) -> int:
        name = reading.name
        used = self._packets_with_frame[name]
        last_but_one, last = self._packets[name]
        # A slow network brings packets too, but fewer.
        usual = self._packets_per_s[name] * silent_s
        came = reading.packets - used
        # A busy machine may have looked at none for the time between two reports.
        still_come = reading.packets > last_but_one and last > used
        return came if still_come and came >= USUAL_SHARE * usual else 0

    def _miss(
        self, heard: Mapping[str, TrackProgress], silences: Mapping[str, Stall], at_s: float
    ) -> None:
        begun_s = self.first_media_s
        if begun_s is None or at_s - begun_s < MISSING_AFTER_S:
            return
        if len(silences) == len(heard):
            return  # nothing is missing from a source that is silent altogether
        flowing = {
            name
            for name, it in heard.items()
            if it.last_s is not None and at_s - it.last_s < MISSING_AFTER_S
        }
        self.missing = frozenset(self._promised - flowing - self._video)
        if not self.missing:
            self._missing_since_s = None
        elif self._missing_since_s is None:
            self._missing_since_s = at_s - MISSING_AFTER_S

    def _verified(self, heard: Mapping[str, TrackProgress], silences: Mapping[str, Stall]) -> bool:
        due = self._promised - self.missing
        return self.first_picture_s is not None and all(
            (it := heard.get(name)) is not None
            and name not in silences
            and it.first_s is not None
            and it.last_s is not None
            and it.last_s - it.first_s >= self._verify_for_s
            for name in due
        )

    def _stalled(
        self,
        heard: Mapping[str, TrackProgress],
        silences: Mapping[str, Stall],
        *,
        at_s: float,
        output_last_s: float | None,
    ) -> Stall | None:
        confirmed = [silences[name] for name in self._video & self._silent & silences.keys()]
        self._silent = set(silences)
        if not (self.proven and confirmed):
            return None
        worst = max(confirmed, key=lambda stall: stall.silent_s)
        outputs_flow = output_last_s is not None and at_s - output_last_s <= worst.allowed_s
        others_flow = any(it.last_s and name not in silences for name, it in heard.items())
        return None if outputs_flow and not others_flow else worst


def _first(known: float | None, instants: Iterable[float | None]) -> float | None:
    """Return `known`, or the earliest instant where nothing was known before."""
    if known is not None:
        return known
    return min((it for it in instants if it is not None), default=None)
