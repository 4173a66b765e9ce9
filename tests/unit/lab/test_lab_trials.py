"""How a trial is judged: three accounts of one fault, and what is said when they disagree."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stream_manager.lab.record import Phase
from stream_manager.lab.trial_results import Result, Wire, wire_of
from stream_manager.lab.trials import TRIALS, Trial
from stream_manager.recordings import Gap

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BY_NAME = {trial.name: trial for trial in TRIALS}


def at(seconds: float) -> datetime:
    """Return an instant, counted from noon."""
    return NOON + timedelta(seconds=seconds)


def freeze(trial: Trial = BY_NAME["freeze"]) -> Result:
    """Return a freeze of three seconds from noon on, as it should be."""
    return Result(
        trial=trial,
        began_at=at(0),
        over_at=at(3),
        faults=({"cause": "stall", "code": "stall", "at": "2026-01-31T12:00:00.700Z"},),
        gaps=(Gap(stream="cam", began_at=at(0.02), ended_at=at(4.1), cause="stall"),),
        files=(),
        wire=Wire(stopped_at=at(-0.02), again_at=at(4)),
        outage_s=4.1,
        healed=True,
    )


def test_three_accounts_that_agree_have_no_flaw() -> None:
    """Cause, outage and gap are as they must be."""
    result = freeze()
    assert result.flaws() == []
    assert result.detected_s == 0.7
    assert result.cause == "stall"


def test_each_disagreement_is_told() -> None:
    """One flaw for each account that differs."""
    good = freeze()
    late = Wire(stopped_at=at(-0.02), again_at=at(3.7))
    for bad, word in (
        (replace(good, healed=False), "not healed"),
        (replace(good, faults=()), "the journal"),
        (replace(good, faults=(*good.faults, {"cause": "auth", "code": "401"})), "the journal"),
        (replace(good, gaps=(replace(good.gaps[0], cause="network"),)), "cause of a gap"),
        (replace(good, outage_s=0.0), "an outage of 0.00 s"),
        (replace(good, outage_s=55.0), "an outage of 55.00 s"),
        (replace(good, gaps=(), outage_s=0.9), "no gap"),
        (replace(good, wire=late), "ends +0.400 s"),
    ):
        (flaw,) = bad.flaws()
        assert word in flaw


def test_only_what_looks_like_pictures_may_be_recorded_for_a_while() -> None:
    """The gap that random bytes leave may begin later than they came, and not earlier."""
    gap = replace(freeze().gaps[0], began_at=at(0.5))
    late = replace(freeze(), gaps=(gap,))
    (flaw,) = late.flaws()
    assert "begins +0.520 s" in flaw
    passing = replace(late.trial, passes_s=BY_NAME["garbage"].passes_s)
    assert replace(late, trial=passing).flaws() == []
    early = replace(late, trial=passing, gaps=(replace(gap, began_at=at(-0.5)),))
    assert len(early.flaws()) == 1


def test_what_breaks_nothing_must_leave_no_trace() -> None:
    """A fault, a gap, an outage: each would be a false alarm."""
    noisy = freeze(BY_NAME["stutter"])
    assert len(noisy.flaws()) == 3
    assert replace(noisy, faults=(), gaps=(), outage_s=0.0).flaws() == []


def test_a_gap_that_is_none_for_the_index_is_none() -> None:
    """A picture or two between two runs are less than times are exact."""
    wire = Wire(stopped_at=at(0), again_at=at(0.08))
    result = replace(freeze(), gaps=(), outage_s=0.2, wire=wire)
    assert result.flaws() == []


def test_the_record_tells_when_media_ceased_and_came_again() -> None:
    """Sessions that began and ended in vain in between do not count."""
    media = [
        (at(-60), Phase.FIRST),
        (at(-0.03), Phase.LAST),
        (at(1), Phase.FIRST),
        (at(2), Phase.LAST),
        (at(4), Phase.FIRST),
        (at(9), Phase.FIRST),
    ]
    times = {"began_at": at(0), "until": at(5)}
    assert wire_of(BY_NAME["freeze"], media, **times) == Wire(stopped_at=at(-0.03), again_at=at(4))
    unseen = BY_NAME["rate too low"]
    assert wire_of(unseen, media, **times) == Wire(stopped_at=at(0), again_at=at(4))
