"""The simulated world: what a start meets, and which troubles each scenario brings."""

from collections import Counter
from math import inf

import pytest

from stream_manager.lab.storm.scenarios import (
    BEGINS_S,
    HOST,
    LASTS_S,
    SPREAD,
    UNREACHABLE,
    Name,
    Scenario,
    scenario,
)
from stream_manager.lab.storm.world import DOOR, REFUSED, Door, Trouble, World
from stream_manager.recovery import Event, Failed, Gone, Proved, Start, Started, Stop

START = Start(id="0", epoch=7, restore=True, deadline_s=15.0)
UP, PROVED = Started(id="0", epoch=7), Proved(id="0", epoch=7)
UNSEEN = Failed(id="0", epoch=7, fault=UNREACHABLE)


def world(*troubles: Trouble, door: Door | None = None) -> World:
    """Return the world of one component, in which each draw is the middle of its range."""
    it = World(
        components=1,
        doors=None if door is None else [door],
        verify_for_s=1.0,
        chance=lambda: 0.5,
    )
    for trouble in troubles:
        list(it.begin(trouble))
    return it


def trouble(survives_s: tuple[float, float] | None = None) -> Trouble:
    """Return one that lasts from 60 s to 90 s."""
    return Trouble(
        members=range(1),
        begins_s=60.0,
        ends_s=90.0,
        fault=UNREACHABLE,
        survives_s=survives_s,
    )


def answers(it: World, now_s: float) -> list[tuple[float, Event]]:
    """Return what comes of a start."""
    return [(round(at_s, 6), event) for at_s, event in it.start(START, now_s)]


def test_a_start_without_trouble_comes_up() -> None:
    """It connects in 40 ms and is proved after the time of verification."""
    assert answers(world(), 5.0) == [(5.04, UP), (6.04, PROVED)]


def test_a_start_in_trouble_is_refused() -> None:
    """Before the trouble's end nothing comes up; at its end it does."""
    it = world(trouble())
    assert answers(it, 89.9) == [(89.911, UNSEEN)]
    assert answers(it, 90.0) == [(90.04, UP), (91.04, PROVED)]


@pytest.mark.parametrize(
    ("survives_s", "expected"),
    [
        ((0.2, 0.4), [(60.04, UP), (60.34, UNSEEN)]),
        ((2.0, 4.0), [(60.04, UP), (61.04, PROVED), (63.04, UNSEEN)]),
    ],
    ids=["less than its proof", "longer than its proof"],
)
def test_a_start_can_survive_for_a_while(
    survives_s: tuple[float, float], expected: list[tuple[float, Event]]
) -> None:
    """A crash after the start is told after it, and after the proof where that comes first."""
    assert answers(world(trouble(survives_s)), 60.0) == expected


def test_a_stop_is_confirmed() -> None:
    """What is torn down is gone after 5 ms, under the same epoch."""
    stop = Stop(id="0", epoch=7, grace_s=2.0)
    assert world().stop(stop, 1.0) == (1.005, Gone(id="0", epoch=7))


def test_who_runs_notices_a_trouble_soon() -> None:
    """A member notices it within half a second; the others never do."""
    it = World(components=4, doors=None, verify_for_s=1.0, chance=lambda: 0.5)
    some = Trouble(members=range(1, 4, 2), begins_s=60.0, ends_s=90.0, fault=REFUSED)
    assert list(it.begin(some)) == [(60.25, 1), (60.25, 3)]
    assert [it.trouble_of(member) for member in range(4)] == [None, some, None, some]


def test_a_door_takes_up_so_many_a_slot() -> None:
    """What comes at once beyond its limit is refused, and room comes again with time."""
    door = Door(10)
    assert [door.admits(60.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [door.admits(60.055) for _ in range(6)] == [True] * 5 + [False]
    assert [door.admits(99.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_crowded_door_refuses_a_start() -> None:
    """Once a trouble has begun, a start that finds no room is refused like by a closed port."""
    it = world(trouble(), door=Door(1))
    assert answers(it, 95.0)[0] == (95.04, UP)
    assert answers(it, 95.0) == [(95.011, Failed(id="0", epoch=7, fault=REFUSED))]


def test_how_all_came_up_is_not_asked() -> None:
    """Before the first trouble a door has room for everybody."""
    it = world(door=Door(1))
    assert [answers(it, 0.0)[0][1] for _ in range(3)] == [UP] * 3


def test_a_trouble_ends_after_it_begins() -> None:
    """One that would not is refused, with both values."""
    with pytest.raises(ValueError, match=r"ends_s is 60\.0: expected above begins_s \(60\.0\)"):
        Trouble(members=range(1), begins_s=60.0, ends_s=60.0, fault=REFUSED)


# --- the scenarios ----------------------------------------------------------------------------


def lasts_about(it: Trouble, length_s: float) -> bool:
    """Tell whether a trouble's length is what the scenario says, or at most a tenth off."""
    return abs((it.ends_s - it.begins_s) / length_s - 1) <= SPREAD + 1e-9


def concerned(it: Scenario) -> Counter[int]:
    """Count the troubles of each component."""
    return Counter(member for one in it.troubles for member in one.members)


def test_site_outage() -> None:
    """One trouble concerns all, who share one site that takes up a limited number."""
    it = scenario(Name.SITE_OUTAGE, 250, 1)
    [outage] = it.troubles
    assert outage.members == range(250)
    assert outage.begins_s == BEGINS_S
    assert lasts_about(outage, 30.0)
    assert {it.domains(member) for member in range(250)} == {("site:0",)}
    doors = it.doors()
    assert doors is not None
    assert len(set(doors)) == 1
    assert it.door == DOOR


def test_rolling_reboot() -> None:
    """Each host of 100 has one trouble, which concerns its own components alone."""
    it = scenario(Name.ROLLING_REBOOT, 250, 1)
    assert [len(one.members) for one in it.troubles] == [100, 100, 50]
    assert [one.begins_s - BEGINS_S for one in it.troubles] == [0.0, 10.0, 20.0]
    assert all(lasts_about(one, 30.0) for one in it.troubles)
    for number, one in enumerate(it.troubles):
        assert {it.domains(m) for m in one.members} == {(f"host:{number}", "site:0")}
    assert len(set(it.doors() or ())) == 3


def test_many_hosts_reboot_within_the_hour() -> None:
    """However many there are, the last one is back long before the end."""
    it = scenario(Name.ROLLING_REBOOT, 100_000, 1)
    assert len(it.troubles) == 1000
    assert max(one.ends_s for one in it.troubles) < LASTS_S - 500


def test_flapping() -> None:
    """The same trouble comes six times, each over before the next."""
    it = scenario(Name.FLAPPING, 250, 1)
    assert set(concerned(it).values()) == {6}
    assert all(lasts_about(one, 10.0) for one in it.troubles)
    times_s = [at_s for one in it.troubles for at_s in (one.begins_s, one.ends_s)]
    assert times_s == sorted(times_s)


def test_disk_full() -> None:
    """Half of the components share the volume that is full, and nobody else does."""
    it = scenario(Name.DISK_FULL, 250, 1)
    [full] = it.troubles
    inside = {it.domains(member) for member in full.members}
    outside = {it.domains(member) for member in set(range(250)) - set(full.members)}
    assert (len(full.members), inside, outside) == (125, {("volume:0",)}, {("volume:1",)})
    assert lasts_about(full, 120.0)
    assert it.doors() is None


def test_crash_loop() -> None:
    """Of each host one crashes for ever and four for a while; that is no trouble of the host."""
    it = scenario(Name.CRASH_LOOP, 250, 1)
    assert concerned(it) == {m: 1 for m in range(250) if m % HOST < 5}
    assert [one.ends_s == inf for one in it.troubles] == [True] + [False] * 4
    assert all(lasts_about(one, 120.0) for one in it.troubles if one.passes)


@pytest.mark.parametrize("name", Name)
@pytest.mark.parametrize("components", [1, 2, 101])
def test_any_number_will_do(name: Name, components: int) -> None:
    """A scenario of few components has troubles for those alone."""
    it = scenario(name, components, 1)
    assert set(concerned(it)) <= set(range(components))
    assert it.says


@pytest.mark.parametrize("name", Name)
def test_a_seed_settles_the_lengths(name: Name) -> None:
    """The same seed gives the same troubles, another one others."""
    assert scenario(name, 200, 1).troubles == scenario(name, 200, 1).troubles
    assert scenario(name, 200, 1).troubles != scenario(name, 200, 2).troubles


def test_nobody_is_no_scenario() -> None:
    """Without a component there is nothing to play."""
    with pytest.raises(ValueError, match="components is 0: expected a whole number from 1"):
        scenario(Name.SITE_OUTAGE, 0, 1)


@pytest.mark.parametrize(("name", "busy_s"), [(Name.SITE_OUTAGE, 150.0), (Name.CRASH_LOOP, 3600.0)])
def test_until_when_a_scenario_is_busy(name: Name, busy_s: float) -> None:
    """A minute past the last trouble, or to the end where one never ends."""
    assert scenario(name, 100, 1).busy_s == pytest.approx(busy_s, abs=3.1)
