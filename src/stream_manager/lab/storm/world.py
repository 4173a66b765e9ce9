"""What starts meet in a simulated world: troubles that begin and end, and a crowded door."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from stream_manager.recovery import Event, Failed, Fault, Gone, Proved, Start, Started, Stop

# How long things take, in seconds: a range is drawn from evenly.
CONNECTS_S = (0.020, 0.060)  # from a start to its being up
REFUSES_S = (0.002, 0.020)  # from a start to its refusal
ENDS_S = 0.005  # from a stop to its confirmation
REFUSED = Fault(origin="connect", code="ECONNREFUSED")

SLOT_S = 0.1
# What a host takes up; a little more than the 200 starts a slot that a ramp ends with by default.
DOOR = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong, from its beginning to its end (monotonic seconds; inf: for ever).

    members: the numbers of the components that it concerns. fault: what each of them sees.
    noticed_within_s: what runs when it begins sees it at a random instant up to so long after.
    survives_s: a range; how long a start is up before it sees the fault. None: it never is.

    Raises ValueError for a trouble that does not end after it begins.
    """

    members: range
    begins_s: float
    ends_s: float
    fault: Fault
    noticed_within_s: float = 0.5
    survives_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.begins_s < self.ends_s:
            raise ValueError(f"ends_s is {self.ends_s}: expected above begins_s ({self.begins_s})")

    @property
    def passes(self) -> bool:
        """Tell whether it ends, so that who suffers from it can recover."""
        return isfinite(self.ends_s)


class Door:
    """A host that takes up so many starts a slot, and refuses the rest: a bucket of tokens."""

    def __init__(self, per_slot: int) -> None:
        self._per_slot = per_slot
        self._room = float(per_slot)
        self._at_s = 0.0

    def admits(self, now_s: float) -> bool:
        """Take one more start up, if there is room for it."""
        regained = (now_s - self._at_s) / SLOT_S * self._per_slot
        self._room = min(self._per_slot, self._room + regained)
        self._at_s = now_s
        if self._room < 1:
            return False
        self._room -= 1
        return True


class World:
    """Answers starts and stops. `chance` draws from [0, 1).

    doors: by the number of a component, the host that has to take its starts up; it counts from
    the first trouble on, for how all came up before is not what is asked.
    """

    def __init__(
        self,
        *,
        components: int,
        doors: Sequence[Door] | None,
        verify_for_s: float,
        chance: Callable[[], float],
    ) -> None:
        self._troubles: list[Trouble | None] = [None] * components
        self._doors = doors
        self._verify_for_s = verify_for_s
        self._chance = chance
        self._crowded = False

    def trouble_of(self, member: int) -> Trouble | None:
        """Return the latest trouble that a component met, whether it lasts or not."""
        return self._troubles[member]

    def begin(self, trouble: Trouble) -> Iterator[tuple[float, int]]:
        """Let a trouble begin; yield when each member notices it, if it runs then."""
        self._crowded = True
        for member in trouble.members:
            self._troubles[member] = trouble
            yield trouble.begins_s + self._chance() * trouble.noticed_within_s, member

    def start(self, start: Start, now_s: float) -> Iterator[tuple[float, Event]]:
        """Yield what comes of a start, and when."""
        trouble = self._troubles[int(start.id)]
        if trouble is not None and now_s < trouble.ends_s:
            yield from self._troubled(start, now_s, trouble)
        elif self._crowded and self._doors and not self._doors[int(start.id)].admits(now_s):
            yield self._failed(start, now_s + self._within(REFUSES_S), REFUSED)
        else:
            yield from self._comes_up(start, now_s)

    def stop(self, stop: Stop, now_s: float) -> tuple[float, Event]:
        """Return the confirmation of a stop, and when it comes."""
        return now_s + ENDS_S, Gone(id=stop.id, epoch=stop.epoch)

    def _troubled(
        self, start: Start, now_s: float, trouble: Trouble
    ) -> Iterator[tuple[float, Event]]:
        if trouble.survives_s is None:
            yield self._failed(start, now_s + self._within(REFUSES_S), trouble.fault)
            return
        survives_s = self._within(trouble.survives_s)
        up, proved = self._comes_up(start, now_s)
        yield up
        if survives_s >= self._verify_for_s:
            yield proved
        yield self._failed(start, up[0] + survives_s, trouble.fault)

    def _comes_up(self, start: Start, now_s: float) -> tuple[tuple[float, Event], ...]:
        up_s = now_s + self._within(CONNECTS_S)
        return (
            (up_s, Started(id=start.id, epoch=start.epoch)),
            (up_s + self._verify_for_s, Proved(id=start.id, epoch=start.epoch)),
        )

    def _failed(self, start: Start, at_s: float, fault: Fault) -> tuple[float, Event]:
        return at_s, Failed(id=start.id, epoch=start.epoch, fault=fault)

    def _within(self, between_s: tuple[float, float]) -> float:
        least_s, most_s = between_s
        return least_s + self._chance() * (most_s - least_s)
