"""What a track's arrivals teach about the silence that it may show."""

from dataclasses import astuple

import pytest

from stream_manager.health.rhythm import (
    LEARNED_FRAMES,
    LONGEST_S,
    SHORTEST_S,
    UNLEARNED_S,
    Rhythm,
)


def learned(gap_s: float, *, reports: int = 100, longest_s: float | None = None) -> Rhythm:
    """Return the rhythm after reports of five even gaps each."""
    rhythm = Rhythm()
    for _ in range(reports):
        rhythm = rhythm.heard(5, mean_s=gap_s, deviation_s=0.0, longest_s=longest_s or gap_s)
    return rhythm


def test_a_steady_track_is_allowed_the_shortest_silence() -> None:
    """25 even frames a second leave nothing to wait for past the lower bound."""
    assert learned(0.04).stall_after_s == SHORTEST_S


def test_an_unlearned_track_is_allowed_more() -> None:
    """Before a track has shown its rhythm the limit is the generous one."""
    assert Rhythm().stall_after_s == UNLEARNED_S
    young = Rhythm().heard(LEARNED_FRAMES - 1, mean_s=0.04, deviation_s=0.0, longest_s=0.04)
    assert young.stall_after_s == UNLEARNED_S


def test_a_slow_first_gap_widens_the_limit_before_anything_is_learned() -> None:
    """A camera with a picture every four seconds is not called stalled after three."""
    slow = Rhythm().heard(2, mean_s=4.0, deviation_s=0.0, longest_s=4.0)
    assert slow.stall_after_s == 8.0


def test_the_limit_follows_the_longest_gap() -> None:
    """Twice the longest silence of late is allowed, whatever the mean is."""
    assert learned(0.04, longest_s=0.4).stall_after_s == 0.8


def test_an_old_stutter_is_forgotten() -> None:
    """After some minutes of even frames the limit is the shortest again."""
    rhythm = learned(0.04, longest_s=2.0)
    for _ in range(5 * 60 * 5):
        rhythm = rhythm.heard(5, mean_s=0.04, deviation_s=0.0, longest_s=0.04)
    assert rhythm.stall_after_s == SHORTEST_S


def test_no_rhythm_allows_more_than_the_longest_silence() -> None:
    """However slow a track is, it is judged at last."""
    assert learned(30.0).stall_after_s == LONGEST_S


def test_a_report_without_arrivals_teaches_nothing() -> None:
    """Silence itself must not widen the limit for silence."""
    rhythm = learned(0.04)
    assert rhythm.heard(0, mean_s=0.0, deviation_s=0.0, longest_s=0.0) == rhythm


def test_the_pace_of_reports_changes_nothing_that_is_learned() -> None:
    """A second told in one report teaches and forgets as much as told in five."""
    begun = Rhythm(frames=100, mean_s=0.1, deviation_s=0.02, peak_s=2.0)
    often = seldom = begun
    for _ in range(60):
        seldom = seldom.heard(25, mean_s=0.04, deviation_s=0.001, longest_s=0.05)
        for _ in range(5):
            often = often.heard(5, mean_s=0.04, deviation_s=0.001, longest_s=0.05)
    assert astuple(seldom) == pytest.approx(astuple(often))
    assert 0.9 < seldom.peak_s < 1.2  # about a minute halves it
