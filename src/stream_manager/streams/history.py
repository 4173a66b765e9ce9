"""One stream's outages, told from decisions: when media was last good, and when it was again."""

from datetime import timedelta

from stream_manager.clock import Clock, wall_of
from stream_manager.health import Outage, Outages
from stream_manager.recovery import Decision
from stream_manager.recovery.states import Sighting
from stream_manager.store import OutageRow, Store


class History:
    """Keeps the outages of `stream` in the store, and adds up what they cost."""

    def __init__(self, stream: str, *, store: Store, clock: Clock) -> None:
        self._stream = stream
        self._store = store
        self._clock = clock
        self._wanted_s: float | None = None
        self._observed_until_s: float | None = None
        self.last_media_s: float | None = None
        totals = store.totals().get(stream)
        self._observed_s = totals.observed_s if totals else 0.0
        newest = store.outages(stream, 1)
        lasting = newest[-1] if newest and newest[-1].ended_at is None else None
        self.outages = Outages(
            count=(totals.outages if totals else 0) - (lasting is not None),
            lost_s=totals.outage_s if totals else 0.0,
        )
        if lasting is not None:
            # The manager before this one ended in the middle of it.
            ago_s = (clock.wall() - lasting.began_at).total_seconds()
            self.outages.begin(
                Outage(
                    began_s=clock.monotonic_s() - ago_s,
                    began_at=lasting.began_at,
                    cause=lasting.cause,
                    code=lasting.code,
                    attempts=lasting.attempts,
                )
            )

    def wanted(self, *, up: bool) -> None:
        """Note that the stream is wanted from now on, or no longer; the latter ends an outage."""
        now_s = self._clock.monotonic_s()
        self.observe()
        if not up:
            self._wanted_s = self._observed_until_s = self.last_media_s = None
            self._end(now_s)
        elif self._wanted_s is None:
            self._wanted_s = self._observed_until_s = now_s

    def decided(self, decision: Decision) -> None:
        """Follow the source and the worker: a fault begins an outage, a retry of it is counted.

        What a command interrupts is no outage, unless a fault follows before media does.
        """
        before, after = decision.before, decision.after
        if after.last is None or after.last is before.last:
            return
        self._begin(after.last)
        if after.attempts > before.attempts:
            self.outages.attempted()

    def proven(self, first_media_s: float | None) -> Outage | None:
        """Note the first media of a run that has now verified; return the outage that it ended."""
        return self._end(first_media_s or self._clock.monotonic_s())

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
        if self.outages.current is not None:
            return
        now_s = self._clock.monotonic_s()
        began_s = self.last_media_s or self._wanted_s or now_s
        self.outages.begin(
            Outage(
                began_s=began_s,
                began_at=wall_of(began_s, self._clock),
                cause=sighting.rule.cause.value,
                code=sighting.fault.code,
            )
        )
        self._save(self.outages.current)

    def _end(self, at_s: float) -> Outage | None:
        ended = self.outages.end(at_s)
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
            )
        )
