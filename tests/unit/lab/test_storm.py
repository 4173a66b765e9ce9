"""The storm simulator: the real engine on a virtual clock, counted rightly and repeatable."""

import gc
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from stream_manager.lab.storm.contenders import POLICY, Contender, contenders
from stream_manager.lab.storm.figures import Figures
from stream_manager.lab.storm.picture import draw
from stream_manager.lab.storm.scenarios import CRASH, UNREACHABLE, Name, Scenario, scenario
from stream_manager.lab.storm.simulation import simulate
from stream_manager.lab.storm.world import Trouble
from stream_manager.recovery import Backoff, Budget, RecoveryPolicy

FIXED, EXPONENTIAL, FULL, OURS = contenders(POLICY)
ENDLESS = replace(POLICY, budget=Budget(restarts=1000, within_s=10_000.0))


def played(*troubles: Trouble, components: int = 1, contender: Contender = FIXED) -> Figures:
    """Return what comes of some troubles."""
    it = Scenario(
        name=Name.SITE_OUTAGE,
        says="",
        components=components,
        troubles=troubles,
        domains=lambda _: (),
    )
    return simulate(it, contender, 1)


def away(*, until_s: float, member: int = 0) -> Trouble:
    """Return a trouble of one component that is noticed in the moment of its beginning, at 60 s."""
    return Trouble(
        members=range(member, member + 1),
        begins_s=60.0,
        ends_s=until_s,
        fault=UNREACHABLE,
        noticed_within_s=1e-9,
    )


def test_attempts_and_recovery_of_one() -> None:
    """Every 5 s from 60 s on, back at 71 s: two refusals, and proved shortly after 75 s."""
    it = played(away(until_s=71.0))
    assert it.attempts == {650: 1, 700: 1, 750: 1}
    [recovery_s] = it.recoveries_s
    # Two refusals of 2 to 20 ms, a start of 20 to 60 ms, a proof of 100 ms.
    assert 4.124 <= recovery_s <= 4.2
    assert (it.false_give_ups, it.unrecovered) == (0, 0)


def test_attempts_of_many_add_up() -> None:
    """Two that fail together make two attempts in the same slots; a third one makes none."""
    it = played(away(until_s=71.0), away(until_s=71.0, member=1), components=3)
    assert it.attempts == {650: 2, 700: 2, 750: 2}
    assert (it.peak, it.attempts_total, len(it.recoveries_s)) == (2, 6, 2)


def test_without_jitter_the_waits_double() -> None:
    """1, 2, 4, 8 and then 10 s: the exponential policy is the engine's own backoff."""
    it = played(away(until_s=100.0), contender=EXPONENTIAL)
    assert list(it.attempts) == [610, 630, 670, 750, 850, 950, 1050]


def test_a_trouble_of_the_last_moment_leaves_one_unrecovered() -> None:
    """Who is not back at the end counts as never recovered."""
    late = replace(away(until_s=3599.95), begins_s=3590.0)
    assert played(late).recoveries_s == (inf,)


def test_each_recovery_counts() -> None:
    """A component that has recovered, and has to once more, counts twice."""
    again = replace(away(until_s=201.0), begins_s=190.0)
    it = played(away(until_s=71.0), again)
    assert list(it.recoveries_s) == pytest.approx([4.16, 4.16], abs=0.04)


def test_who_is_down_does_not_notice_another_trouble() -> None:
    """A trouble that begins while a component waits costs it no fault, and no attempt."""
    first, second = away(until_s=63.0), replace(away(until_s=71.0), begins_s=64.0)
    it = played(first, second)
    assert it.attempts == {650: 1, 700: 1, 750: 1}
    assert len(it.recoveries_s) == 1


def crashes(*, ends_s: float) -> Trouble:
    """Return a component that crashes 2 s after each start."""
    return replace(away(until_s=ends_s), fault=CRASH, survives_s=(2.0, 2.0))


def test_a_false_give_up() -> None:
    """Crashes that pass spend the budget: FAILED, and back by the slow probe five minutes later."""
    it = played(crashes(ends_s=180.0))
    assert (it.false_give_ups, it.unrecovered) == (1, 0)
    assert 200 < it.recoveries_s[0] < 240


def test_a_larger_budget_gives_nobody_up() -> None:
    """Who may restart a thousand times is back with the first start after the trouble."""
    it = played(crashes(ends_s=180.0), contender=replace(FIXED, policy=ENDLESS))
    assert it.false_give_ups == 0
    assert it.recoveries_s[0] < 15


def test_who_can_not_recover_is_given_up_rightly() -> None:
    """A component that crashes for ever is FAILED, no false give-up, and nobody's recovery."""
    it = played(crashes(ends_s=inf))
    assert (it.false_give_ups, it.recoveries_s, it.recovery_s(0.99)) == (0, (), None)
    assert it.attempts_total > 10


# --- the scenarios, played --------------------------------------------------------------------


@pytest.mark.parametrize("name", Name)
def test_a_seed_settles_everything(name: Name) -> None:
    """The same seed gives the same figures to the last digit, another one does not."""
    one, again, other = (simulate(scenario(name, 100, seed), OURS, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.mark.parametrize("contender", contenders(POLICY), ids=lambda it: it.name)
@pytest.mark.parametrize("name", Name)
def test_all_that_can_recover_does(name: Name, contender: Contender) -> None:
    """Whatever the policy, within the hour nobody stays down whose trouble has passed."""
    it = simulate(scenario(name, 100, 3), contender, 3)
    assert it.unrecovered == 0
    assert it.recoveries_s
    assert it.attempts_total >= len(it.recoveries_s)
    assert min(it.recoveries_s) >= 0


def test_a_fixed_pace_comes_in_waves() -> None:
    """Without jitter all come back within half a second, every 5 s, and nobody between."""
    it = simulate(scenario(Name.SITE_OUTAGE, 200, 1), FIXED, 1)
    assert {(slot - 600) % 50 for slot in it.attempts} <= set(range(8))


def test_jitter_spreads_the_waves() -> None:
    """With full jitter the most that come at once are fewer than at a fixed pace."""
    outage = scenario(Name.SITE_OUTAGE, 300, 1)
    late = [
        max(count for slot, count in simulate(outage, it, 1).attempts.items() if slot > 700)
        for it in (FIXED, FULL)
    ]
    assert late[1] < late[0] / 4


def test_only_who_is_concerned_makes_attempts() -> None:
    """A full volume costs the components on the other one nothing."""
    it = simulate(scenario(Name.DISK_FULL, 1, 1), OURS, 1)
    both = simulate(scenario(Name.DISK_FULL, 2, 1), OURS, 1)
    assert len(it.recoveries_s) == len(both.recoveries_s) == 1


def test_ours_is_one_incident() -> None:
    """An outage of a site costs a probe every 2 s, then one start each, along the ramp."""
    outage = scenario(Name.SITE_OUTAGE, 300, 1)
    it = simulate(outage, OURS, 1)
    probes = [slot for slot in it.attempts if slot * 0.1 < outage.troubles[0].ends_s]
    assert 12 <= len(probes) <= 18
    assert all(it.attempts[slot] == 1 for slot in probes)
    assert it.attempts_total == 300 + len(probes)
    assert it.peak == 159  # the last probe, 20, 40, 80, and all that are left
    assert (it.recovery_s(0.99) or 0) < 3.2


def test_no_incident_where_nothing_is_shared() -> None:
    """A few that crash on each host are no incident: domains change nothing for anybody."""
    crashing = scenario(Name.CRASH_LOOP, 200, 1)
    alone = simulate(crashing, replace(OURS, domains=False), 1)
    assert simulate(crashing, OURS, 1) == alone


def test_a_crowd_is_refused_by_a_host_that_is_back() -> None:
    """What a site can't take up at once comes again: a storm prolongs its own outage."""
    outage = scenario(Name.SITE_OUTAGE, 200, 1)
    crowded = simulate(replace(outage, door=15), FIXED, 1)
    roomy = simulate(replace(outage, door=None), FIXED, 1)
    assert crowded.attempts_total > roomy.attempts_total
    assert (crowded.recovery_s(0.99) or 0) >= (roomy.recovery_s(0.99) or 0) + 4.5


def test_the_clock_is_told() -> None:
    """Progress is the virtual clock, which only goes forward, to the end of what happens."""
    told: list[float] = []
    simulate(scenario(Name.SITE_OUTAGE, 400, 1), OURS, 1, tell=told.append)
    assert told == sorted(told)
    assert told[0] < 60 < told[-1]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before(*, enabled: bool) -> None:
    """What a simulation does without is there again afterwards, if it was before."""
    (gc.enable if enabled else gc.disable)()
    try:
        simulate(scenario(Name.SITE_OUTAGE, 1, 1), OURS, 1)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


# --- figures and contenders -------------------------------------------------------------------


def figures(*recoveries_s: float) -> Figures:
    """Return figures with these recoveries."""
    return Figures(
        name="x",
        attempts={},
        recoveries_s=recoveries_s,
        verify_for_s=1.0,
        false_give_ups=0,
        decisions=0,
    )


def test_percentiles_are_samples() -> None:
    """The smallest sample that so many do not exceed, in whatever order they came."""
    it = figures(*range(200, 0, -1))
    assert (it.recovery_s(0.5), it.recovery_s(0.99), it.recovery_s(1.0)) == (100, 198, 200)


def test_who_never_came_back_counts() -> None:
    """One of fifty that never recovers makes the p99 infinite, and leaves the median."""
    it = figures(*[1.0] * 49, inf)
    assert (it.recovery_s(0.5), it.recovery_s(0.99), it.unrecovered) == (1.0, inf, 1)


def test_media_comes_before_its_proof() -> None:
    """An outage is over with the first media of the run, not before it, and not for who is down."""
    it = figures(0.5, 3.0, inf)
    assert [it.media_s(share) for share in (0.3, 0.6, 1.0)] == [0.0, 2.0, inf]


def test_no_figures() -> None:
    """Where nothing happened there is no percentile and no peak."""
    it = figures()
    assert it.media_s(0.5) is None
    assert (it.recovery_s(0.5), it.peak, it.attempts_total, it.unrecovered) == (None, 0, 0, 0)


def test_contenders_differ_in_pace_and_domains_alone() -> None:
    """All share the limits of the policy; only ours knows domains."""
    given = RecoveryPolicy(stable_for_s=99.0, give_up_after_attempts=7)
    found = contenders(given)
    assert [it.name for it in found] == ["fixed 5 s", "exponential", "full jitter", "ours"]
    assert [it.domains for it in found] == [False, False, False, True]
    assert found[-1].policy == given
    assert all(replace(it.policy, backoff=given.backoff) == given for it in found)
    assert [it.policy.backoff.jitter for it in found] == ["none", "none", "full", "equal"]
    assert {it.policy.backoff.cap_s for it in found[1:]} == {given.backoff.cap_s}


def test_a_pace_that_can_not_spend_the_budget_gets_time() -> None:
    """A policy that is right for its own pace is not refused for another's."""
    given = RecoveryPolicy(
        backoff=Backoff(base_s=0.1, cap_s=1.0), budget=Budget(restarts=10, within_s=10.0)
    )
    fixed, exponential, full, ours = contenders(given)
    assert fixed.policy.budget == Budget(restarts=10, within_s=45.0)
    assert exponential.policy.budget.within_s == 10.0
    assert full.policy.budget == ours.policy.budget == given.budget


# --- the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [Name.SITE_OUTAGE, Name.CRASH_LOOP])
def test_the_same_figures_give_the_same_picture(name: Name, tmp_path: Path) -> None:
    """A PNG of some size, byte for byte the same each time."""
    it = scenario(name, 20, 1)
    compared = [simulate(it, contender, 1) for contender in contenders(POLICY)]
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        draw(file, it, compared)
    one, other = (file.read_bytes() for file in files)
    assert one.startswith(b"\x89PNG\r\n")
    assert one == other
    assert len(one) > 10_000


def test_nothing_can_be_drawn(tmp_path: Path) -> None:
    """A picture without one attempt, and one in which nobody comes back, can be drawn too."""
    it = scenario(Name.SITE_OUTAGE, 1, 1)
    draw(tmp_path / "a.png", it, [figures(), figures(inf), figures(1.0), figures()])
    assert (tmp_path / "a.png").stat().st_size > 10_000
