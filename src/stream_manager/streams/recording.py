"""What the index of recordings is told of one stream: its files, and why there are none."""

from typing import TYPE_CHECKING, Literal

from stream_manager.clock import Clock, wall_of
from stream_manager.config import StreamSettings
from stream_manager.health import Outage, tells_more
from stream_manager.pipelines.messages import SegmentClosed, SegmentOpened
from stream_manager.recordings import IndexKeeper
from stream_manager.recordings.keeper import NEXT
from stream_manager.recovery import Decision
from stream_manager.recovery.states import Sighting

if TYPE_CHECKING:
    from datetime import datetime

Commander = Literal["operator", "configuration", "manager"]  # who stops a stream


class Recording:
    """Passes on to `keeper` what concerns the recording; of a stream that has one.

    Why nothing is recorded is told once a gap, by its first fault or one that tells more.
    """

    def __init__(self, settings: StreamSettings, *, keeper: IndexKeeper, clock: Clock) -> None:
        self._id = settings.spec.id
        self._is_asked_for = settings.spec.record is not None
        self._keeper = keeper
        self._clock = clock
        self._wanted = False
        self._stopped = False
        self._fault: tuple[datetime, Sighting] | None = None  # since when, and why

    def opened(self, fact: SegmentOpened) -> None:
        """Note a file that has begun."""
        self._keeper.opened(self._id, fact)
        self._fault = None

    def closed(self, fact: SegmentClosed) -> None:
        """Note a file that is finished."""
        self._keeper.closed(self._id, fact)

    def ended(self, epochs: range) -> None:
        """Note that the recorders of these epochs are gone, and what they left open is as it is."""
        self._keeper.ended(self._id, epochs)

    async def written(self) -> bool:
        """Return whether the index has all of this on disk, once that is known."""
        return await self._keeper.written()

    def adopted(self) -> None:
        """Note that the stream goes on as it was under an earlier manager."""
        self._wanted, self._stopped = True, False
        self._keeper.adopted(self._id)

    def wanted(self, *, up: bool, by: Commander, outage: Outage | None) -> None:
        """Note that the stream is wanted or no longer; the latter cut `outage` short, if any."""
        changed, self._wanted = up is not self._wanted, up
        if not (changed and self._is_asked_for):
            return
        self._stopped, self._fault = not up, None
        if up:
            self._keeper.started(self._id)
        else:
            self.repaired(outage)
            self._keeper.stopped(self._id, by)

    def lasts(self, sighting: Sighting) -> None:
        """Tell why nothing is recorded from now on either: by a fault of an earlier manager's."""
        if self._is_asked_for:
            self._tell(self._clock.wall() + NEXT, sighting)

    def decided(self, decision: Decision) -> None:
        """Tell why nothing is recorded from now on, if that is what was decided."""
        if not self._is_asked_for:
            return
        before, after = decision.before.last, decision.after.last
        if decision.rule == "restart-commanded" and decision.after.spec.id == self._id:
            self._fault = None
            self._keeper.restarted(self._id)
        elif after is not None and after is not before and not self._stopped:
            self._explain(after)

    def repaired(self, outage: Outage | None) -> None:
        """Note how long the outage was that has ended now."""
        if outage is not None and outage.ended_s is not None:
            self._keeper.repaired(self._id, outage.ended_s - outage.began_s)

    def _explain(self, sighting: Sighting) -> None:
        if self._fault is None:
            self._tell(wall_of(sighting.at_s, self._clock), sighting)
        elif tells_more(sighting, self._fault[1]):
            self._tell(self._fault[0], sighting)

    def _tell(self, at: "datetime", sighting: Sighting) -> None:
        self._fault = at, sighting
        self._keeper.failed(self._id, at, sighting.rule.cause.value, sighting.fault.code)
