"""What a manager made of a trial, judged by three accounts of it that know nothing of each other.

The journal tells what was detected and decided, the index of recordings what is missing, and the
lab's own record what was on the wire.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stream_manager.lab.record import Phase
from stream_manager.lab.trials import Trial
from stream_manager.recordings import Gap
from stream_manager.store import Segment

# How far the index of gaps may be from the lab's record.
AGREE_WITHIN_S = 0.3
# The last picture before a fault left up to that long before it: pictures are 40 ms apart.
JUST_S = 0.2
SHORT_S = 0.15
# Outages are counted by what workers see five times a second.
COUNT_WITHIN_S = 1.0
# What any broken connection looks like at first, and between two answers of a camera.
SYMPTOMS = frozenset({"network", "stall"})

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What the lab saw leave: when pictures last left before they stopped, and first again.

    None where they never stopped, or have not come again.
    """

    stopped_at: datetime | None
    again_at: datetime | None

    @property
    def lasted_s(self) -> float:
        """How long no picture left; without end where none has come again."""
        if self.stopped_at is None or self.again_at is None:
            return math.inf
        return (self.again_at - self.stopped_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One trial as it was played.

    began_at, over_at: when the lab began and ended the fault. faults: the journal's entries about
    its stream that have a cause. gaps: those of its stream in that time, files: the newest that the
    index had then. outage_s: what `status` counts more than before. healed: whether the stream was
    verified again in time.
    """

    trial: Trial
    began_at: datetime
    over_at: datetime
    faults: tuple[Json, ...]
    gaps: tuple[Gap, ...]
    files: tuple[Segment, ...]
    wire: Wire
    outage_s: float
    healed: bool

    @property
    def detected_s(self) -> float | None:
        """How long after its beginning the first fault was decided upon."""
        if not self.faults:
            return None
        return (datetime.fromisoformat(self.faults[0]["at"]) - self.began_at).total_seconds()

    @property
    def cause(self) -> str:
        """What the index calls it in the end; "-" where nothing is missing."""
        return self.gaps[0].cause if self.gaps else "-"

    @property
    def missing_s(self) -> float:
        """How long all gaps are together; without end where one lasts."""
        return sum(
            math.inf if gap.ended_at is None else (gap.ended_at - gap.began_at).total_seconds()
            for gap in self.gaps
        )

    @property
    def apart_s(self) -> tuple[float, float] | None:
        """How far the gap's beginning and end are from the lab's record; positive: later."""
        wire = self.wire
        if not self.gaps or wire.stopped_at is None or wire.again_at is None:
            return None
        ended_at = self.gaps[-1].ended_at
        if ended_at is None:
            return None
        return (
            (self.gaps[0].began_at - wire.stopped_at).total_seconds(),
            (ended_at - wire.again_at).total_seconds(),
        )

    def flaws(self) -> list[str]:
        """Return everything that is not as it must be, in words."""
        if not self.healed:
            return ["not healed in time"]
        return self._unbroken() if not self.trial.causes else self._broken()

    def _unbroken(self) -> list[str]:
        flaws = [f"nothing was wrong, but: {it['cause']}, {it['code']}" for it in self.faults]
        flaws += [f"nothing was missing, but a gap: {gap}" for gap in self.gaps]
        return flaws + ([f"an outage of {self.outage_s:.2f} s"] if self.outage_s else [])

    def _broken(self) -> list[str]:
        flaws = []
        causes = self.trial.causes
        journal = {it["cause"] for it in self.faults}
        allowed = causes | self.trial.told | SYMPTOMS
        if not (causes & journal and self.trial.told <= journal <= allowed):
            told = [f"{it['cause']} ({it['code']})" for it in self.faults]
            wanted = sorted(causes | self.trial.told)
            flaws.append(f"the journal tells of {told}, and should of {wanted}")
        if wrong := {gap.cause for gap in self.gaps} - causes:
            flaws.append(f"the cause of a gap is {sorted(wrong)}, not {sorted(causes)}")
        if self.outage_s <= 0 or abs(self.outage_s - self.missing_s) > COUNT_WITHIN_S:
            flaws.append(f"an outage of {self.outage_s:.2f} s, and gaps of {self.missing_s:.2f} s")
        apart = self.apart_s
        if not self.gaps and self.wire.lasted_s <= SHORT_S:
            pass  # a picture or two: the index calls that no gap
        elif apart is None:
            flaws.append(f"no gap to compare: {self.gaps}, {self.wire}, {self.files}")
        elif not self._agrees(*apart):
            flaws.append(
                f"the gap begins {apart[0]:+.3f} s and ends {apart[1]:+.3f} s off the record"
            )
        return flaws

    def _agrees(self, begin_s: float, end_s: float) -> bool:
        late_s = AGREE_WITHIN_S + self.trial.passes_s
        return -AGREE_WITHIN_S <= begin_s <= late_s and abs(end_s) <= AGREE_WITHIN_S


def wire_of(
    trial: Trial,
    media: Sequence[tuple[datetime, Phase]],
    *,
    began_at: datetime,
    until: datetime,
) -> Wire:
    """Return when pictures stopped and came again, by what the lab's record tells of media.

    What ceased before `began_at` concerns what was before; pictures that left just then count.
    """
    just_before = began_at - timedelta(seconds=JUST_S)
    stops = [at for at, phase in media if phase is Phase.LAST and at > just_before]
    starts = [at for at, phase in media if phase is Phase.FIRST and began_at <= at <= until]
    stopped_at = began_at if trial.begins_unseen else min(stops, default=None)
    return Wire(stopped_at=stopped_at, again_at=max(starts, default=None))
