"""When a worker reports: calmly while all is as usual, at every look while there is news.

A manager judges reports and takes processor time for each, while forty cameras have nothing to
tell. So whoever looks decides what is worth a report; what it means is still the manager's to say.
"""

from collections.abc import Sequence

from stream_manager.pipelines.messages import OutputProgress, TrackProgress

LOOK_S = 0.2
# Five looks; a little less than a second, for looks do not come to the millisecond.
CALM_S = 0.9
# Runs and outputs prove themselves in the first second, by default.
NEWS_FOR_S = 3.0
OUTPUT_SILENT_S = 2.0
# No silence longer than that is waited for (health.rhythm): what lasts is a track that is missing.
JUDGED_WITHIN_S = 12.0


class Pace:
    """Decides at each look whether a report is due.

    There is news for a while after `news`, and after the first buffer and the first keyframe of a
    track or output; between those two; while one is silent for longer than it lately was between
    two buffers, and when it flows again.
    """

    def __init__(self) -> None:
        self._reported_s = 0.0
        self._news_s: float | None = None
        self._usual_s: dict[str, float] = {}  # the longest gap in the newest report that had one
        self._silent = False

    def news(self, at_s: float) -> None:
        """Hear that a manager has come, or that a part is about to change or has."""
        self._news_s = at_s

    def is_due(
        self, tracks: Sequence[TrackProgress], outputs: Sequence[OutputProgress], at_s: float
    ) -> bool:
        """Return whether what a look found at `at_s` is to be reported; then it counts as told."""
        was_silent, self._silent = self._silent, self._is_silent(tracks, outputs, at_s)
        begun_s = [self._news_s, *(it.key_s for it in tracks), *(it.first_s for it in outputs)]
        begun_s += [it.first_s for it in tracks]
        due = (
            self._silent
            or was_silent
            or at_s - self._reported_s >= CALM_S
            or any(it_s is not None and at_s - it_s < NEWS_FOR_S for it_s in begun_s)
            or any(it.first_s is not None and it.key_s is None for it in tracks)
        )
        if due:
            self._reported_s = at_s
            self._usual_s |= {it.name: it.gap_max_s for it in tracks if it.gap_max_s}
        return due

    def _is_silent(
        self, tracks: Sequence[TrackProgress], outputs: Sequence[OutputProgress], at_s: float
    ) -> bool:
        silences = [
            (it.last_s, max(LOOK_S, it.gap_max_s, self._usual_s.get(it.name, 0.0))) for it in tracks
        ]
        silences += [(it.last_s, OUTPUT_SILENT_S) for it in outputs]
        return any(
            last_s is not None and usual_s < at_s - last_s < JUDGED_WITHIN_S
            for last_s, usual_s in silences
        )
