"""What came of the demo: values that its table and its JSON are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stream_manager.lab.demo_scenarios import Scenario

# What the demo leaves in its folder.
CONFIG = "cameras.toml"
LOG = "manager.log"
RECORDINGS = "recordings"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The first fault that the manager's journal holds after a scenario began."""

    after_s: float
    cause: str
    code: str
    fault_class: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the manager made of one scenario, in its own figures.

    causes: what it was taken for, each once, in order: who only misses media can't know why, until
        an attempt to get it back fails.
    delays_s: how long each of its attempts waited, in order.
    outage_s: from the last good media to the first that verified, as `status` tells it; up to the
        bound where the stream did not heal.
    others_lost_s: what the other streams lost meanwhile, by their ids; empty where nothing.
    """

    scenario: Scenario
    healed: bool
    detection: Detection | None
    causes: tuple[str, ...]
    delays_s: tuple[float, ...]
    outage_s: float
    others_lost_s: Mapping[str, float]

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        faults: Sequence[Json],
        *,
        began_at: datetime,
        healed: bool,
        lost_s: Mapping[str, float],
    ) -> "Outcome":
        """Judge a scenario by its stream's faults in the journal, and what each stream lost."""
        return cls(
            scenario=scenario,
            healed=healed,
            detection=_detection(faults[0], began_at) if faults else None,
            causes=tuple(dict.fromkeys(it["cause"] for it in faults)),
            delays_s=tuple(it["saw"]["delay_s"] for it in faults if "delay_s" in it["saw"]),
            outage_s=lost_s[scenario.stream],
            others_lost_s={
                stream: lost
                for stream, lost in lost_s.items()
                if lost > 0 and stream != scenario.stream
            },
        )

    @property
    def decided(self) -> str:
        """What was decided, in words."""
        if self.detection is None:
            return "nothing"
        return f"{self.detection.fault_class}: {attempts(self.delays_s)}"

    @property
    def flaw(self) -> str | None:
        """What went wrong, or None."""
        if self.healed:
            return None
        what = "never detected" if self.detection is None else "not healed"
        return f"{self.scenario.title}: {what} within {self.scenario.bound_s:g} s"

    def to_json(self) -> Json:
        """Return what `--json` shows."""
        found = self.detection
        return {
            "fault": self.scenario.title,
            "stream": self.scenario.stream,
            "healed": self.healed,
            "detected_after_s": None if found is None else round(found.after_s, 3),
            "cause": None if found is None else found.cause,
            "causes": list(self.causes),
            "code": None if found is None else found.code,
            "class": None if found is None else found.fault_class,
            "rule": None if found is None else found.rule,
            "delays_s": list(self.delays_s),
            "outage_s": round(self.outage_s, 3),
            "others_lost_s": {id_: round(lost, 3) for id_, lost in self.others_lost_s.items()},
        }


def _detection(fault: Json, began_at: datetime) -> Detection:
    after_s = (datetime.fromisoformat(fault["at"]) - began_at).total_seconds()
    return Detection(
        after_s=after_s,
        cause=fault["cause"],
        code=fault["code"],
        fault_class=fault["class"],
        rule=fault["rule"],
    )


def attempts(delays_s: Sequence[float]) -> str:
    """Say when it was tried again, like "again at once" or "again after 0.4, 0.8 and 1.5 s"."""
    if not delays_s:
        return "no attempt"
    if not any(delays_s):
        return "again at once"
    *most, last = (f"{delay_s:.2g}" for delay_s in delays_s)
    return f"again after {', '.join(most)}{' and ' if most else ''}{last} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One stream's files. `frames` counts those that decode, None where nothing can count them.

    unplayable: what ails each file that does not play, by its path.
    """

    stream: str
    files: int
    size_bytes: int
    frames: int | None
    unplayable: Mapping[Path, str]

    @property
    def flaw(self) -> str | None:
        """What went wrong, or None."""
        if not self.files:
            return f"{self.stream}: nothing was recorded"
        if not self.unplayable:
            return None
        return "; ".join(f"{path} does not play: {why}" for path, why in self.unplayable.items())

    def to_json(self) -> Json:
        """Return what `--json` shows."""
        return {
            "stream": self.stream,
            "files": self.files,
            "bytes": self.size_bytes,
            "frames": self.frames,
            "unplayable": {str(path): why for path, why in self.unplayable.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The whole of it. `folder` holds all that the demo leaves behind.

    ailing: the health of each stream that was not healthy in the end, by its id.
    """

    folder: Path
    ailing: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    recordings: tuple[Recording, ...]

    @property
    def flaws(self) -> tuple[str, ...]:
        """Everything that went wrong."""
        ailing = [f"{id_}: {health} in the end" for id_, health in self.ailing.items()]
        flaws = [it.flaw for it in self.outcomes] + [it.flaw for it in self.recordings]
        return (*(flaw for flaw in flaws if flaw is not None), *ailing)

    def to_json(self) -> Json:
        """Return what `--json` shows."""
        return {
            "healed": not self.flaws,
            "flaws": list(self.flaws),
            "faults": [it.to_json() for it in self.outcomes],
            "recordings": [it.to_json() for it in self.recordings],
            "ailing": dict(self.ailing),
            "folder": str(self.folder),
            "config": str(self.folder / CONFIG),
            "log": str(self.folder / LOG),
        }
