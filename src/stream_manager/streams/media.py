"""What a stream has brought so far, and how much of it a second now."""

from collections import deque

from stream_manager.pipelines.messages import Progress

# Rates are over the reports of so long.
WINDOW_S = 2.0
FRESH_S = 1.0


class Media:
    """Frames and bytes over all runs since the manager's start; rates over the newest reports."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.last_s: float | None = None
        self._epoch = 0
        self._run: tuple[int, int] = (0, 0)
        self._recent: deque[tuple[float, int, int]] = deque()

    def count(self, report: Progress) -> None:
        """Take in one report; its counts are those of the run (the epoch) so far."""
        if report.epoch != self._epoch:
            self._epoch, self._run = report.epoch, (0, 0)
            self._recent.clear()
        frames = max((it.frames for it in report.tracks if it.name.startswith("video")), default=0)
        size = sum(it.bytes for it in report.tracks)
        self.frames += frames - self._run[0]
        self.bytes += size - self._run[1]
        self._run = (frames, size)
        self._recent.append((report.at_s, frames, size))
        while len(self._recent) > 2 and report.at_s - self._recent[0][0] > WINDOW_S:
            self._recent.popleft()
        lasts = [it.last_s for it in report.tracks if it.last_s is not None]
        self.last_s = max(lasts, default=self.last_s)

    def rates(self, now_s: float) -> tuple[float, float]:
        """Return frames and bits a second now; (0, 0) when two reports are overdue."""
        if len(self._recent) < 2:
            return 0.0, 0.0
        (from_s, frames_then, bytes_then), (to_s, frames, size) = self._recent[0], self._recent[-1]
        if now_s - to_s > max(FRESH_S, 2 * (to_s - self._recent[-2][0])):
            return 0.0, 0.0
        seconds = to_s - from_s
        return (frames - frames_then) / seconds, (size - bytes_then) * 8 / seconds
