"""One stream's outages, told from decisions: when media was last good, and when it was again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from stream_manager.clock import Clock, wall_of
from stream_manager.health import Outage, Outages, tells_more
from stream_manager.recovery import Decision
from stream_manager.recovery.states import Sighting
from stream_manager.store import OutageRow, Store, Totals


class History:
    """Keeps the outages of `stream` in the store, and adds up what they cost."""

    def __init__(self, stream: str, *, store: Store, clock: Clock) -> None:
        self._stream = stream
        self._store = store
        self._clock = clock
        self._wanted_s: float | None = None
        self._observed_until_s: float | None = None
        self._cause: Sighting | None = None  # of the outage that lasts
        self.last_media_s: float | None = None
        totals = store.totals().get(stream, Totals())
        self._observed_s = totals.observed_s
        self._close_what_was_left(store.outages(stream, 1))
        totals = store.totals().get(stream, totals)
        self.outages = Outages(
            lost_s=totals.outage_s, repairs=totals.repairs, repaired_s=totals.repaired_s
        )

    def _close_what_was_left(self, newest: Sequence[OutageRow]) -> None:
        """Close an outage in whose middle the manager was killed, when it last wrote about it.

        Nobody watched since. What lasts still will be an outage again, from our own first look.
        """
        for row in newest:
            if row.ended_at is None:
                told = [entry.at for entry in self._store.journal(self._stream, None, 1)]
                ended_at = max([row.began_at, *told])
                self._store.save_outage(replace(row, ended_at=ended_at, repaired=False))

    def wanted(self, *, up: bool) -> Outage | None:
        """Note that the stream is wanted from now on, or no longer, and return what that ended."""
        now_s = self._clock.monotonic_s()
        self.observe()
        if not up:
            self._wanted_s = self._observed_until_s = self.last_media_s = None
            return self._end(now_s, repaired=False)
        if self._wanted_s is None:
            self._wanted_s = self._observed_until_s = now_s
        return None

    def lasts(self, sighting: Sighting) -> None:
        """Begin an outage in which an earlier manager left the stream: from our own first look."""
        if self.outages.current is None:
            self._begin(sighting)

    def decided(self, decision: Decision) -> None:
        """Follow the source and the worker: a fault begins an outage, a retry of it is counted.

        What a command interrupts is no outage, unless a fault follows before media does.
        """
        before, after = decision.before, decision.after
        if after.last is None or after.last is before.last:
            return
        if self.outages.current is None:
            self._begin(after.last)
        elif self._cause is not None and tells_more(after.last, self._cause):
            self._explain(after.last)
        if after.attempts > before.attempts:
            self.outages.attempted()

    def proven(self, first_picture_s: float | None) -> Outage | None:
        """Note the first picture of a run that has now verified; return the outage it ended."""
        at_s = self._clock.monotonic_s() if first_picture_s is None else first_picture_s
        return self._end(at_s, repaired=True)

    def observe(self) -> None:
        """Add the time since the last call to what availability is a share of."""
        now_s = self._clock.monotonic_s()
        if self._observed_until_s is not None:
            passed_s = now_s - self._observed_until_s
            self._observed_s += passed_s
            self._observed_until_s = now_s
            self._store.add_observed(self._stream, passed_s)

    def availability(self) -> float | None:
        """Return the share of the watched time with verified media, 0 to 1."""
        now_s = self._clock.monotonic_s()
        since_s = now_s if self._observed_until_s is None else self._observed_until_s
        return self.outages.availability(now_s, self._observed_s + now_s - since_s)

    def _begin(self, sighting: Sighting) -> None:
        self._cause = sighting
        now_s = self._clock.monotonic_s()
        known = (it for it in (self.last_media_s, self._wanted_s) if it is not None)
        began_s = next(known, now_s)
        self.outages.begin(
            Outage(
                began_s=began_s,
                began_at=wall_of(began_s, self._clock),
                cause=sighting.rule.cause.value,
                code=sighting.fault.code,
            )
        )
        self._save(self.outages.current)

    def _explain(self, sighting: Sighting) -> None:
        self._cause = sighting
        self.outages.explain(sighting.rule.cause.value, sighting.fault.code)
        self._save(self.outages.current)

    def _end(self, at_s: float, *, repaired: bool) -> Outage | None:
        ended = self.outages.end(at_s, repaired=repaired)
        self._save(ended)
        return ended

    def _save(self, outage: Outage | None) -> None:
        if outage is None:
            return
        lasted = None if outage.ended_s is None else outage.ended_s - outage.began_s
        self._store.save_outage(
            OutageRow(
                stream=self._stream,
                began_at=outage.began_at,
                ended_at=None if lasted is None else outage.began_at + timedelta(seconds=lasted),
                cause=outage.cause,
                code=outage.code,
                attempts=outage.attempts,
                repaired=outage.repaired,
            )
        )
