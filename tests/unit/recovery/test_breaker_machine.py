"""The circuit breaker as scripts: calls and instants in, states and transitions out."""

from itertools import product

import pytest
from tests.unit.recovery.breaker_script import BEGINNING_S, BreakerScript

from stream_manager.errors import InvariantError
from stream_manager.recovery import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Outcome,
    Probe,
    Transition,
    Trigger,
)
from stream_manager.recovery.breaker_states import TABLE

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState


# When it opens
def test_five_failures_in_a_row_open_it_unless_told_otherwise() -> None:
    """Four do not, and the fifth does; what it saw is told with the limit."""
    script = BreakerScript()
    script.calls("FFFF")
    assert script.state is CLOSED
    script.calls("F")
    assert script.went == [("closed", "consecutive", "open")]
    assert script.told[0].saw["consecutive"] == script.told[0].saw["limit"] == 5


def test_a_success_ends_a_row_of_failures() -> None:
    """It is failures in a row that count, whatever their number."""
    script = BreakerScript()
    script.calls("FFFFSFFFFSFFFF")
    assert script.state is CLOSED


@pytest.mark.parametrize("letter", ["I", "C"])
def test_ignored_and_cancelled_calls_neither_end_a_row_nor_extend_it(letter: str) -> None:
    """They decide nothing: the fifth failure opens, with as many of them between as one likes."""
    script = BreakerScript()
    script.calls(f"FF{letter * 9}FF{letter}")
    assert script.state is CLOSED
    assert script.breaker.tally(script.now_s).calls == 4
    script.calls("F")
    assert script.state is OPEN


def test_a_failure_rate_opens_from_the_least_number_of_calls_on() -> None:
    """Nine failures of nine are too few calls; the tenth call makes a rate of them."""
    script = BreakerScript(failure_rate=0.5)
    script.calls("FFFFFFFFF")
    assert script.state is CLOSED
    script.calls("F")
    assert script.went == [("closed", "failure_rate", "open")]
    assert script.told[0].saw["failures"] == 10


def test_a_rate_of_exactly_the_limit_opens_and_one_below_does_not() -> None:
    """The limit is reached, not exceeded."""
    below, at = (BreakerScript(failure_rate=0.5, min_calls=4) for _ in range(2))
    below.calls("SSSFF")
    at.calls("SSFF")
    assert below.state is CLOSED
    assert at.state is OPEN


def test_a_success_that_completes_the_least_number_may_open() -> None:
    """What counts is the rate, whoever's call makes it one."""
    script = BreakerScript(min_calls=4)
    script.calls("FFF")
    assert script.breaker.carefree == 0  # so no guard may count the next one by itself
    script.calls("S")
    assert script.state is OPEN


def test_giving_min_calls_alone_means_a_rate_of_half() -> None:
    """And no row of failures opens it then."""
    script = BreakerScript(min_calls=20)
    script.calls("SSSSSSSSSFFFFFFFFFF")
    assert script.state is CLOSED
    script.calls("F")
    assert script.told[0].saw["limit"] == 0.5


def test_a_row_and_a_rate_may_stand_side_by_side() -> None:
    """Whichever is reached first opens."""
    script = BreakerScript(consecutive_failures=3, failure_rate=0.5, min_calls=100)
    script.calls("FFF")
    assert script.went == [("closed", "consecutive", "open")]


def test_failures_leave_a_time_window() -> None:
    """Failures that are older than the window open nothing any more."""
    script = BreakerScript(failure_rate=0.5, min_calls=4, window_s=30.0)
    script.calls("FFF")
    script.now_s += 33.0
    script.calls("F")
    assert script.state is CLOSED
    assert script.breaker.tally(script.now_s).calls == 1


def test_old_successes_leave_a_time_window_too() -> None:
    """A rate that rises because successes are forgotten opens by the next call, even a success."""
    script = BreakerScript(failure_rate=0.5, min_calls=4, window_s=30.0)
    script.calls("SSSSSSSS")
    script.now_s += 20.0
    script.calls("FFFF")
    assert script.state is CLOSED
    script.now_s += 15.0
    assert script.now_s >= script.breaker.window.until_s  # so no guard counts it by itself
    script.calls("S")
    assert script.told[0].saw["calls"] == 5


def test_a_count_window_holds_the_last_calls_however_old() -> None:
    """Days change nothing; the fifth call pushes the first one out."""
    script = BreakerScript(failure_rate=0.75, min_calls=4, window_calls=4)
    script.calls("SFFS")
    script.now_s += 1e6
    script.calls("F")
    assert script.went == [("closed", "failure_rate", "open")]
    assert script.told[0].saw["calls"] == 4


def test_the_least_number_is_clamped_to_a_count_window() -> None:
    """Ten calls of five can't be had: five are enough."""
    script = BreakerScript(failure_rate=0.5, window_calls=5)
    script.calls("FFFFF")
    assert script.state is OPEN


def test_slow_calls_open_whatever_they_return() -> None:
    """A call of exactly the limit is slow; the rate of slow ones has a limit of its own."""
    script = BreakerScript(slow_call_s=2.0, slow_rate=0.5, min_calls=4, failure_rate=0.9)
    script.calls("SS", took_s=1.9)
    script.calls("S", took_s=2.0)
    script.calls("F", took_s=2.5)
    assert script.went == [("closed", "slow_rate", "open")]
    assert script.told[0].saw["slow"] == 2


# While it is open
def test_an_open_breaker_rejects_until_its_time_is_over_and_tells_how_long() -> None:
    """With the middle of chance that is 3.75 s; the last instant before still rejects."""
    script = BreakerScript()
    script.calls("FFFFF")
    assert script.told[0].retry_at_s == script.now_s + 3.75
    assert script.breaker.retry_after_s(script.now_s) == 3.75
    script.now_s += 3.7499
    assert script.refused()
    assert script.breaker.rejected == 1
    script.now_s += 0.0001
    assert script.admit()
    assert script.went[-1] == ("open", "open_time_over", "half_open")


def test_time_alone_changes_no_state() -> None:
    """OPEN becomes HALF_OPEN by a call; to read state, window or waiting time changes nothing."""
    script = BreakerScript()
    script.calls("FFFFF")
    script.now_s += 1e6
    breaker = script.breaker
    for _ in range(2):
        assert breaker.state is OPEN
        assert breaker.retry_after_s(script.now_s) == 0.0
        assert breaker.tally(script.now_s).calls == 0
    assert len(script.told) == 1


def test_the_open_time_doubles_to_its_cap_and_half_of_it_is_chance() -> None:
    """5, 10, 20, 40, 40 s are the ceilings; chance moves each between its half and its whole."""
    script = BreakerScript(open_s=5.0, open_cap_s=40.0)
    lasted: list[float] = []
    for chance in (0.0, 0.5, 0.0, 0.999, 0.0):
        script.chance = chance
        script.calls("FFFFF" if not lasted else "F")
        lasted.append(script.breaker.shut_until_s - script.now_s)
        script.open_time_passes()
    assert lasted == pytest.approx([2.5, 7.5, 10.0, 39.98, 20.0])


def test_an_open_time_that_doubled_a_thousand_times_is_the_cap() -> None:
    """No number of reopenings overflows."""
    script = BreakerScript()
    script.calls("FFFFF")
    for _ in range(1100):
        script.open_time_passes()
        script.calls("F")
    assert script.breaker.shut_until_s - script.now_s == 225.0


def test_closing_forgets_how_often_it_reopened() -> None:
    """The next outage begins with the base again."""
    script = BreakerScript()
    script.calls("FFFFF")
    for outcome in ("F", "F", "SS", "FFFFF"):
        script.open_time_passes() if script.state is OPEN else None
        script.calls(outcome)
    assert script.breaker.shut_until_s - script.now_s == 3.75


# While it is half-open
def test_fifty_callers_of_a_half_open_breaker_make_one_probe() -> None:
    """One is admitted, 49 are rejected; nobody can tell them how long."""
    script = BreakerScript()
    script.calls("FFFFF")
    script.open_time_passes()
    permits = [script.breaker.admit(script.now_s) for _ in range(50)]
    assert sum(permit is not None for permit in permits) == 1
    assert script.breaker.rejected == 49
    assert script.breaker.retry_after_s(script.now_s) is None


def test_how_many_probe_at_a_time_is_not_how_many_must_succeed() -> None:
    """Three places, and five successes close: a place that is given back is taken again."""
    script = BreakerScript(max_concurrent=3, successes_to_close=5)
    probes = [script.half_open(), script.admit(), script.admit()]
    assert script.refused()
    for probe in probes:
        script.settle(probe, Outcome.SUCCESS)
    assert script.state is HALF_OPEN
    script.calls("S")
    assert script.state is HALF_OPEN
    script.calls("S")
    assert script.went[-1] == ("half_open", "probes_succeeded", "closed")
    assert script.told[-1].saw["successes"] == 5


def test_any_failure_reopens() -> None:
    """However many probes succeeded before."""
    script = BreakerScript(successes_to_close=3)
    script.settle(script.half_open(), Outcome.SUCCESS)
    script.calls("SF")
    assert script.went[-1] == ("half_open", "probe_failed", "open")
    assert script.told[-1].saw["successes"] == 2


def test_a_slow_probe_reopens() -> None:
    """What is too slow while closed is no recovery."""
    script = BreakerScript(slow_call_s=2.0, consecutive_failures=5)
    script.settle(script.half_open(), Outcome.SUCCESS, took_s=2.0)
    assert script.went[-1] == ("half_open", "probe_slow", "open")


@pytest.mark.parametrize("outcome", [Outcome.IGNORED, Outcome.CANCELLED])
def test_a_probe_that_says_nothing_gives_its_place_back(outcome: Outcome) -> None:
    """Neither a step to closing nor a failure: the next call is the next probe."""
    script = BreakerScript(successes_to_close=1)
    script.settle(script.half_open(), outcome)
    assert script.state is HALF_OPEN
    script.calls("S")
    assert script.state is CLOSED


def test_a_probe_whose_lease_runs_out_has_failed() -> None:
    """The next call finds it; without this, a probe that never comes back would block for ever."""
    script = BreakerScript(probe_lease_s=10.0)
    probe = script.half_open()
    script.now_s += 9.999
    assert script.refused()
    assert script.state is HALF_OPEN
    script.now_s += 0.001
    assert script.refused()
    assert script.went[-1] == ("half_open", "probe_lost", "open")
    script.settle(probe, Outcome.SUCCESS)
    assert (script.state, script.breaker.late_results) == (OPEN, 1)


def test_a_lost_probe_has_failed_when_its_lease_was_over_and_not_when_that_is_noticed() -> None:
    """Who calls an hour later waits for no open time, for that is over: it is the next probe."""
    script = BreakerScript(probe_lease_s=10.0)
    script.half_open()
    over_s = script.now_s + 10.0
    script.now_s += 3600.0
    assert isinstance(script.admit(), Probe)
    lost, again = script.told[-2:]
    assert (lost.trigger, lost.at_s, lost.retry_at_s) == (Trigger.PROBE_LOST, over_s, over_s + 7.5)
    assert (again.after, again.at_s) == (HALF_OPEN, script.now_s)


def test_a_probe_that_comes_back_after_its_lease_has_failed_too() -> None:
    """Nobody need have called meanwhile: its own late success finds it out."""
    script = BreakerScript(probe_lease_s=10.0)
    probe = script.half_open()
    script.now_s += 10.0
    script.settle(probe, Outcome.SUCCESS)
    assert script.went[-1] == ("half_open", "probe_lost", "open")
    assert script.breaker.late_results == 1


def test_the_first_of_several_leases_decides() -> None:
    """A later probe's lease does not hide an earlier one's end."""
    script = BreakerScript(probe_lease_s=10.0, max_concurrent=2)
    script.half_open()
    script.now_s += 5.0
    script.admit()
    script.now_s += 5.0
    assert script.refused()
    assert script.state is OPEN


def test_a_permit_counts_once() -> None:
    """Settled twice, a probe's second outcome is late: one success does not close as two."""
    script = BreakerScript(successes_to_close=2)
    probe = script.half_open()
    assert isinstance(probe, Probe)
    for _ in range(2):
        script.settle(probe, Outcome.SUCCESS)
    assert (script.state, script.breaker.late_results) == (HALF_OPEN, 1)


# Generations
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_result_from_before_a_transition_is_late_and_changes_nothing_else(
    outcome: Outcome,
) -> None:
    """A call from while it was closed neither closes nor reopens the half-open breaker."""
    script = BreakerScript(successes_to_close=1)
    stale = script.admit()
    script.half_open()
    cause = script.breaker.last_cause
    script.settle(stale, outcome)
    assert (script.state, script.breaker.late_results) == (HALF_OPEN, 1)
    assert script.breaker.last_cause == cause
    assert len(script.breaker.probes) == 1


def test_a_failure_from_before_the_outage_does_not_count_after_it() -> None:
    """Nor is it counted by a breaker that has closed again."""
    script = BreakerScript()
    stale = [script.admit() for _ in range(5)]
    script.settle(script.half_open(), Outcome.SUCCESS)
    script.calls("S")
    for permit in stale:
        script.settle(permit, Outcome.FAILURE)
    assert (script.state, script.breaker.late_results) == (CLOSED, 5)
    assert script.breaker.tally(script.now_s).calls == 0


def test_each_transition_begins_a_generation() -> None:
    """They are numbered without a hole, in the order of their instants."""
    script = BreakerScript(successes_to_close=1)
    script.settle(script.half_open(), Outcome.SUCCESS)
    script.breaker.force_open(script.now_s)
    script.breaker.reset(script.now_s)
    assert [it.generation for it in script.told] == [2, 3, 4, 5, 6]
    assert [it.at_s for it in script.told] == sorted(it.at_s for it in script.told)


# After closing
def closed_again(script: BreakerScript) -> BreakerScript:
    """Open it and close it."""
    script.settle(script.half_open(), Outcome.SUCCESS)
    script.calls("S")
    assert script.state is CLOSED
    return script


def burst(script: BreakerScript) -> int:
    """Return how many of a thousand calls at once are admitted."""
    return sum(script.breaker.admit(script.now_s) is not None for _ in range(1000))


def test_after_closing_calls_are_let_in_along_a_capped_ramp() -> None:
    """20 in the first 100 ms, doubling to 200; after a second there is no limit."""
    script = closed_again(BreakerScript())
    began_s = script.now_s
    admitted = []
    for step in range(11):
        script.now_s = began_s + step * 0.1 + 0.01
        admitted.append(burst(script))
    assert admitted == [20, 40, 80, 160, 200, 200, 200, 200, 200, 200, 1000]
    assert script.breaker.free_pass == script.breaker.generation


def test_the_ramp_tells_when_its_next_step_begins() -> None:
    """A call beyond the step is rejected, and comes in with the next one."""
    script = closed_again(BreakerScript())
    script.now_s += 0.03
    assert burst(script) == 20
    assert script.breaker.retry_after_s(script.now_s) == pytest.approx(0.07)
    script.now_s += 0.07
    assert script.admit()


def test_results_count_on_the_ramp_as_ever() -> None:
    """Five failures in a row open it again."""
    script = closed_again(BreakerScript())
    script.calls("FFFFF")
    assert script.state is OPEN


def test_without_a_ramp_all_are_let_in_at_once() -> None:
    """None switches it off."""
    script = closed_again(BreakerScript(ramp=None))
    assert script.breaker.retry_after_s(script.now_s) is None
    assert burst(script) == 1000


# By hand
@pytest.mark.parametrize("before", list(BreakerState))
def test_forced_open_rejects_until_a_reset(before: BreakerState) -> None:
    """From any state, and for as long as it takes; nobody is told how long."""
    script = in_state(before)
    script.breaker.force_open(script.now_s)
    script.now_s += 1e9
    assert script.refused()
    assert script.state is FORCED_OPEN
    assert script.breaker.retry_after_s(script.now_s) is None
    script.breaker.reset(script.now_s)
    assert script.state is CLOSED
    assert burst(script) == 20


def test_a_reset_of_a_closed_breaker_clears_its_counters_and_needs_no_ramp() -> None:
    """Four failures are forgiven, and the calls go on."""
    script = BreakerScript()
    script.calls("FFFF")
    script.breaker.reset(script.now_s)
    script.calls("FFFF")
    assert script.went == [("closed", "reset", "closed")]
    assert burst(script) == 1000


# The table
def in_state(state: BreakerState) -> BreakerScript:
    """Return a breaker that came to `state` by what brings one there."""
    script = BreakerScript()
    if state in {OPEN, HALF_OPEN}:
        script.calls("FFFFF")
    if state is HALF_OPEN:
        script.open_time_passes()
        script.admit()
    if state is FORCED_OPEN:
        script.breaker.force_open(script.now_s)
    assert script.state is state
    return script


@pytest.mark.parametrize(("state", "trigger"), list(product(BreakerState, Trigger)))
def test_every_pair_stands_in_the_table_and_does_what_it_says(
    state: BreakerState, trigger: Trigger
) -> None:
    """A pair that can't be raises and changes nothing; any other leads where the table says."""
    script = in_state(state)
    told, generation = len(script.told), script.breaker.generation
    after = TABLE[state, trigger]
    if after is None:
        with pytest.raises(InvariantError, match=f"{trigger.value} while {state.value}"):
            script.breaker._change(trigger, script.now_s, {})
        assert (script.state, script.breaker.generation) == (state, generation)
        assert len(script.told) == told
    else:
        script.breaker._change(trigger, script.now_s, {})
        assert (script.state, script.breaker.generation) == (after, generation + 1)


def test_a_transition_tells_all_there_is_to_tell() -> None:
    """Name, instant, cause and whether it is enforced go with it, for the journal."""
    script = BreakerScript(enforce=False)
    script.calls("FFFFF")
    told = script.told[0]
    assert (told.name, told.at_s, told.enforced) == ("camera-api", BEGINNING_S, False)
    assert told.cause == "OSError: gone"
    assert dict(told.saw) == {"consecutive": 5, "limit": 5, "reopens": 0, "open_for_s": 3.75}


def test_a_machine_can_be_made_of_a_policy_alone() -> None:
    """All that it needs from outside is an instant, chance, and somebody to tell."""
    told: list[Transition] = []
    breaker = Breaker("x", BreakerPolicy(), now_s=0.0, chance=lambda: 0.0, tell=told.append)
    assert breaker.admit(0.0) == breaker.generation
