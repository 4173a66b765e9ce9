"""How long a track may be silent: learned from the gaps between its arrivals."""

from dataclasses import dataclass, replace

SHORTEST_S = 0.5
LONGEST_S = 10.0
# Before a track has shown its rhythm, at least this much silence is no stall.
UNLEARNED_S = 3.0
LEARNED_FRAMES = 25
# How far a fifth of a second moves the mean, and how much of an old extreme it forgets: a single
# stutter is half forgotten after about a minute, however often there are reports.
STEP_S = 0.2
WEIGHT = 0.1
FORGOTTEN = 0.002
DEVIATIONS = 8.0
PEAKS = 2.0


def share(of_step: float, span_s: float) -> float:
    """Return what `span_s` counts for in a mean of late, where STEP_S counts for `of_step`."""
    return float(1.0 - (1.0 - of_step) ** (span_s / STEP_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """One track's inter-arrival times, in seconds, as far as they are known."""

    frames: int = 0
    mean_s: float = 0.0
    deviation_s: float = 0.0
    peak_s: float = 0.0

    def heard(
        self, frames: int, *, mean_s: float, deviation_s: float, longest_s: float
    ) -> "Rhythm":
        """Return the rhythm after `frames` more arrivals with these gaps between them."""
        if frames <= 0:
            return self
        span_s = frames * mean_s
        weight = share(WEIGHT, span_s) if self.frames else 1.0
        kept = 1.0 - share(FORGOTTEN, span_s)
        return replace(
            self,
            frames=self.frames + frames,
            mean_s=self.mean_s + weight * (mean_s - self.mean_s),
            deviation_s=self.deviation_s + weight * (deviation_s - self.deviation_s),
            peak_s=min(max(longest_s, self.peak_s * kept), LONGEST_S),
        )

    @property
    def stall_after_s(self) -> float:
        """The silence past which this track is stalled: sooner for a steady one."""
        usual_s = max(self.mean_s + DEVIATIONS * self.deviation_s, PEAKS * self.peak_s)
        least_s = UNLEARNED_S if self.frames < LEARNED_FRAMES else SHORTEST_S
        return min(max(usual_s, least_s), LONGEST_S)
