"""What of a breaker survives: a restart forgives nothing, and waits no longer than it must."""

import json
from dataclasses import asdict, replace
from math import inf, nan
from typing import Unpack

import pytest
from tests.unit.recovery.breaker_script import BreakerScript

from stream_manager.recovery import BreakerRules, BreakerState, Outcome, Probe
from stream_manager.recovery.breaker_saved import read, restore, save

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState


def another_life(
    script: BreakerScript, elapsed_s: float = 0.0, **rules: Unpack[BreakerRules]
) -> BreakerScript:
    """Return a new breaker, on another clock, that goes on where `script` stood."""
    new = BreakerScript(**rules)
    new.now_s = 5.0
    saved = save(script.breaker, script.now_s)
    restore(new.breaker, saved, now_s=new.now_s, elapsed_s=elapsed_s)
    assert new.told == []
    return new


def test_a_row_of_failures_goes_on() -> None:
    """Four before the restart and one after it open."""
    script = BreakerScript()
    script.calls("FFFF")
    new = another_life(script)
    assert new.breaker.carefree == 0
    new.calls("F")
    assert new.state is OPEN


@pytest.mark.parametrize(
    "rules",
    [
        BreakerRules(failure_rate=0.5, min_calls=8),
        BreakerRules(failure_rate=0.5, min_calls=8, window_calls=8),
    ],
)
def test_the_window_goes_on(rules: BreakerRules) -> None:
    """Seven calls before the restart and one after it are a rate."""
    script = BreakerScript(**rules)
    script.calls("SSSSFFF")
    new = another_life(script, elapsed_s=1.0, **rules)
    assert new.breaker.tally(new.now_s).calls == 7
    new.calls("F")
    assert new.state is OPEN


def test_what_went_on_can_be_saved_before_anybody_has_called() -> None:
    """A process that restarts twice in a row loses nothing of what it knew."""
    script = BreakerScript()
    script.calls("SFF")
    new = another_life(script)
    again = save(new.breaker, new.now_s)
    assert (again.consecutive, again.ramped_for_s) == (2, None)
    assert new.breaker.free_pass == new.breaker.generation


def test_a_window_of_another_shape_begins_empty() -> None:
    """After the policy was changed its old counts mean nothing."""
    script = BreakerScript(failure_rate=0.5, window_s=30.0)
    script.calls("SF")
    new = another_life(script, failure_rate=0.5, window_s=60.0)
    assert new.breaker.tally(new.now_s).calls == 0


def test_an_open_time_goes_on() -> None:
    """Of 7.5 s 2 passed before the restart and 1 meanwhile; the reopenings stay counted."""
    script = BreakerScript()
    script.settle(script.half_open(), Outcome.FAILURE)
    script.now_s += 2.0
    new = another_life(script, elapsed_s=1.0)
    assert new.state is OPEN
    assert new.breaker.shut_until_s == new.now_s + 7.5 - 3.0
    new.open_time_passes()
    new.calls("F")
    assert new.breaker.shut_until_s == new.now_s + 15.0
    assert new.told[-1].cause == "OSError: gone"


def test_an_open_time_ends_at_the_latest_with_the_cap_of_today() -> None:
    """Whatever was saved under another policy."""
    script = BreakerScript(open_s=200.0)
    script.calls("FFFFF")
    new = another_life(script, open_s=1.0, open_cap_s=10.0)
    assert new.breaker.shut_until_s == new.now_s + 10.0


def test_a_probe_that_died_with_its_process_has_failed_when_its_lease_is_over() -> None:
    """A probe that kills the process can't kill it at every start."""
    script = BreakerScript(probe_lease_s=10.0)
    script.half_open()
    new = another_life(script, elapsed_s=4.0, probe_lease_s=10.0)
    assert new.refused()
    assert new.state is HALF_OPEN
    new.now_s += 6.0
    assert new.refused()
    assert new.went == [("half_open", "probe_lost", "open")]


def test_a_lease_that_ended_between_two_lives_began_the_open_time_there() -> None:
    """6 s of the lease were left, and the 7.5 s after them are over as well."""
    script = BreakerScript(probe_lease_s=10.0)
    script.half_open()
    script.now_s += 4.0
    new = another_life(script, elapsed_s=6.0 + 7.5, probe_lease_s=10.0)
    assert isinstance(new.admit(), Probe)


def test_a_lease_is_never_longer_than_the_new_policys() -> None:
    """A longer one of an earlier life would keep the breaker half-open, and in the way."""
    script = BreakerScript(probe_lease_s=3600.0)
    script.half_open()
    new = another_life(script, probe_lease_s=10.0)
    assert new.refused()
    new.now_s += 10.0
    assert new.refused()
    assert new.went == [("half_open", "probe_lost", "open")]


def test_successful_probes_stay_counted() -> None:
    """One before the restart and one after it close."""
    script = BreakerScript()
    script.settle(script.half_open(), Outcome.SUCCESS)
    new = another_life(script)
    new.calls("S")
    assert new.state is CLOSED


def test_forced_open_stays_forced_open() -> None:
    """Only a person ends what a person began."""
    script = BreakerScript()
    script.breaker.force_open(script.now_s)
    new = another_life(script, elapsed_s=1e9)
    assert new.refused()
    assert new.breaker.retry_after_s(new.now_s) is None
    new.breaker.reset(new.now_s)
    assert new.state is CLOSED


def test_a_ramp_goes_on() -> None:
    """Half a second before the restart, 0.3 after it: 200 calls in this step."""
    script = BreakerScript()
    script.settle(script.half_open(), Outcome.SUCCESS)
    script.calls("S")
    script.now_s += 0.5
    new = another_life(script, elapsed_s=0.3)
    admitted = [new.breaker.admit(new.now_s) for _ in range(300)]
    assert sum(permit is not None for permit in admitted) == 200


def test_a_closed_breaker_without_a_ramp_is_as_free_as_before() -> None:
    """And one that saw nothing bad counts successes without a lock again."""
    script = BreakerScript()
    script.calls("S")
    new = another_life(script)
    assert new.admit() == new.breaker.free_pass == new.breaker.carefree


def test_permits_that_are_out_become_late() -> None:
    """A breaker that is restored while calls are under way takes nothing from them."""
    script = BreakerScript()
    stale = script.admit()
    saved = save(script.breaker, script.now_s)
    restore(script.breaker, saved, now_s=script.now_s, elapsed_s=0.0)
    script.settle(stale, Outcome.FAILURE)
    assert script.breaker.late_results == 1
    assert script.breaker.tally(script.now_s).calls == 0


def test_saving_changes_nothing() -> None:
    """Twice in a row it says the same."""
    script = BreakerScript()
    script.half_open()
    assert save(script.breaker, script.now_s) == save(script.breaker, script.now_s)
    assert script.state is HALF_OPEN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "open"),
        *(
            (name, value)
            for name in ("generation", "reopens", "consecutive", "probe_successes")
            for value in (-1, 1.5, "3", None, True, 10**400)
        ),
        *((name, inf) for name in ("rejected", "late_results")),
        *(("open_for_s", value) for value in (nan, inf, -1.0, 1e308, "3", None)),
        *(("ramped_for_s", value) for value in (-0.1, nan, "3")),
        *(("probe_leases_s", value) for value in ((-1.0,), (nan,), (True,), None, "3")),
        ("probe_leases_s", (1.0,)),  # of a breaker that is closed
        *((name, 7) for name in ("last_cause", "shape")),
        *(("window", (row,)) for row in ((1, -1, 0), (1, 0), (1, 5, 0), (0, 9, 9), (1, nan, 0), 7)),
        ("window", None),
    ],
)
def test_what_can_not_have_been_saved_is_refused_by_name(name: str, value: object) -> None:
    """A damaged file does not become a breaker that waits for ever."""
    saved = save(BreakerScript().breaker, 1000.0)
    with pytest.raises(ValueError, match=rf"^{name} is .*: expected "):
        replace(saved, **{name: value})  # type: ignore[arg-type]


def test_plain_values_are_read_back_and_others_refused() -> None:
    """What JSON has carried restores the same; a value too many or too few is told by its name."""
    saved = save(BreakerScript().breaker, 1000.0)
    plain = json.loads(json.dumps({**asdict(saved), "state": saved.state.value}))
    assert asdict(read(plain)) == {**plain, "state": saved.state}
    with pytest.raises(ValueError, match=r"^not a dump of a circuit breaker: .*'more'"):
        read({**plain, "more": 1})
    del plain["shape"]
    with pytest.raises(ValueError, match=r"^not a dump of a circuit breaker: .*'shape'"):
        read(plain)


@pytest.mark.parametrize(
    ("rules", "rows"),
    [
        ({"min_calls": 9}, [[9, 9, 9]] * 11),
        ({"min_calls": 9}, []),
        ({"min_calls": 3, "window_calls": 3}, [[1, 1, 1]] * 4),
        ({"min_calls": 3, "window_calls": 3}, [[2, 1, 1]]),
    ],
)
def test_a_window_that_can_not_have_been_is_refused_and_changes_nothing(
    rules: BreakerRules, rows: list[list[int]]
) -> None:
    """More than it holds, or less, of just this shape: nobody knows what else is wrong with it."""
    script = BreakerScript(**rules)
    script.calls("S")
    before = save(script.breaker, script.now_s)
    wrong = replace(before, window=rows, generation=100, consecutive=4)
    with pytest.raises(ValueError, match=r"^window is .*: expected "):
        restore(script.breaker, wrong, now_s=script.now_s, elapsed_s=0.0)
    assert save(script.breaker, script.now_s) == before
