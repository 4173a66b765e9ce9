"""A worker that is brought up beside the one that runs, until it does all that this one does.

    Hello -> its source is started -> its source runs -> its recorder is started
    both have worked for `verify_for` -> verified
    a part fails, the process ends or no longer talks -> failed

What it says of its files goes to the index at once; what it says of its parts waits until it has
taken over, and is then told as if it had just been said.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from stream_manager.health import Pulse
from stream_manager.pipelines.messages import (
    FromWorker,
    Graph,
    Hello,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    SegmentClosed,
    SegmentOpened,
    Spawn,
    StartRecord,
    StartSource,
    Track,
)
from stream_manager.streams.launcher import Launcher, SpawnRefused
from stream_manager.streams.process import Process, in_words
from stream_manager.streams.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a successor is told to do; without `record` it is not recorded."""

    worker: Spawn
    source: StartSource
    record: StartRecord | None


class Successor:
    """One process that prepares to take over. verified, failed: told once each, if that is so.

    pulse: makes what judges a source with these tracks. written: as of `Process`.
    """

    def __init__(
        self,
        orders: Orders,
        *,
        launcher: Launcher,
        recording: Recording,
        pulse: Callable[[tuple[Track, ...]], Pulse],
        verify_for_s: float,
        on_verified: Callable[[], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._orders = orders
        self._recording = recording
        self._new_pulse = pulse
        self._verify_for_s = verify_for_s
        self._on_verified = on_verified
        self._on_failed = on_failed
        self._pulse: Pulse | None = None
        self._over = False  # it has taken over, or never will
        self.verified = False
        self._said: list[PartStarted | Graph] = []
        self._asked: dict[str, int] = {}
        self.met = False
        self.process = Process(
            orders.worker,
            launcher=launcher,
            hear=self.hear,
            written=recording.written,
            lost=lambda why: self._give_up(f"it no longer talks: {why}"),
        )
        self.life: asyncio.Task[int | None] = asyncio.create_task(self.process.live(lambda _: None))
        self.life.add_done_callback(self._died)

    @property
    def epoch(self) -> int:
        """The epoch of the worker that it will be."""
        return self._orders.worker.epoch

    def hear(self, message: FromWorker) -> None:
        """Take in what the process says."""
        match message:
            case Hello():
                self.met = True
                self._ask("source", self._orders.source)
            case PartStarted(part="source"):
                self._pulse = self._new_pulse(message.tracks)
                self._said.append(message)
                if self._orders.record is not None:
                    self._ask("record", self._orders.record)
            case PartStarted() | Graph():
                self._said.append(message)
            case PartFailed():
                self._give_up(f"its {message.part} failed: {message.text or message.code}")
            case PartGone():
                self._give_up(f"its {message.part} has ended")
            case SegmentOpened():
                self._recording.opened(message)
            case SegmentClosed():
                self._recording.closed(message)
            case Progress():
                self._judge(message)

    def close(self) -> None:
        """Prepare no longer: it has taken over, or never will."""
        self._over = True

    @property
    def lives(self) -> bool:
        """Whether it could take over now."""
        return self.met and self.process.connected and not self._over

    def began(self, part: str, epoch: int) -> bool:
        """Tell whether it has begun this epoch of a part, or was told to."""
        return self._asked.get(part) == epoch

    def said(self, part: str) -> list[PartStarted | Graph]:
        """Return what it has said of a part so far, but for its media and its files."""
        return [it for it in self._said if it.part == part]

    def leave_files(self) -> None:
        """Note that it is gone, and with it what it left open."""
        if (record := self._orders.record) is not None:
            self._recording.ended(range(record.epoch, record.epoch + 1))

    def _ask(self, part: str, order: StartSource | StartRecord) -> None:
        self._asked[part] = order.epoch
        self.process.send(order)

    def _judge(self, report: Progress) -> None:
        if self._pulse is None or self.verified:
            return
        self._pulse.hear(report.tracks, at_s=report.at_s, late_s=report.late_s, output_last_s=None)
        if self._pulse.proven and self._is_recorded(report):
            self.verified = True
            self._on_verified()

    def _is_recorded(self, report: Progress) -> bool:
        if self._orders.record is None:
            return True
        return any(
            it.part == "record"
            and it.first_s is not None
            and it.last_s is not None
            and it.last_s - it.first_s >= self._verify_for_s
            for it in report.outputs
        )

    def _died(self, life: asyncio.Task[int | None]) -> None:
        if life.cancelled():
            return
        match life.exception():
            case None:
                self._give_up(in_words(life.result(), self.process.killed_by))
            case SpawnRefused() as refused:
                self._give_up(str(refused))
            case bug:
                self._give_up(f"a bug of our own: {bug!r}")

    def _give_up(self, why: str) -> None:
        if not self._over:
            self._over = True
            self._on_failed(why)
