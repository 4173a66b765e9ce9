"""The scenarios: who shares what, and which troubles come when.

All components are up when the first trouble begins, a minute after the start of the clock. They
are numbered from 0; neighbours share a host. How long a trouble lasts is drawn, within a tenth of
what stands here: a retry at a fixed pace would else always, or never, meet the very instant of its
end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from random import Random

from stream_manager.lab.storm.world import DOOR, REFUSED, Door, Trouble
from stream_manager.recovery import Fault
from stream_manager.recovery.checks import require_counts

BEGINS_S = 60.0
LASTS_S = 3600.0  # how long each scenario is played
SPREAD = 0.1  # how far a trouble's length may be from what stands here
HOST = 100  # components behind one host, where there are many hosts

OUTAGE_S = 30.0
REBOOT_S = 30.0
REBOOT_EVERY_S = 10.0
REBOOTS_END_S = 3000.0  # with more hosts than fit, they follow each other faster
FLAPS, FLAP_DOWN_S, FLAP_EVERY_S = 6, 10.0, 30.0
FULL_S = 120.0
BAD_INPUT_S = 120.0
# Of a hundred components: the one that crashes for ever, and those that do so for a while.
BROKEN, DISTURBED = 1, 4

UNREACHABLE = Fault(origin="connect", code="EHOSTUNREACH")
NO_SPACE = Fault(origin="record", code="ENOSPC")
CRASH = Fault(origin="process", code="SIGSEGV")


class Name(Enum):
    """The scenarios, as the command line calls them."""

    SITE_OUTAGE = "site-outage"
    ROLLING_REBOOT = "rolling-reboot"
    FLAPPING = "flapping"
    DISK_FULL = "disk-full"
    CRASH_LOOP = "crash-loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is played on `components` components.

    domains: what a component, by its number, shares with others, narrowest first.
    door: how many starts a slot the narrowest of these takes up; None: any number.
    """

    name: Name
    says: str
    components: int
    troubles: tuple[Trouble, ...]
    domains: Callable[[int], tuple[str, ...]]
    door: int | None = None

    @property
    def busy_s(self) -> float:
        """Until when things happen for sure: afterwards the hour may pass in a moment."""
        return min(max(it.ends_s for it in self.troubles) + BEGINS_S, LASTS_S)

    def doors(self) -> list[Door] | None:
        """Return a new door for each component's host, by the number of the component."""
        if self.door is None:
            return None
        per_slot, doors = self.door, dict[str, Door]()
        return [
            doors.setdefault(self.domains(member)[0], Door(per_slot))
            for member in range(self.components)
        ]


def scenario(name: Name, components: int, seed: int) -> Scenario:
    """Return a scenario for so many components, its lengths drawn by the seed.

    Raises ValueError for less than one component.
    """
    require_counts(1, components=components)
    chance = Random(f"scenario {seed}").random  # noqa: S311 - it simulates, it guards nothing
    return _SCENARIOS[name](components, chance)


def _site(_member: int) -> tuple[str, ...]:
    return ("site:0",)


def _host(member: int) -> tuple[str, ...]:
    return (f"host:{member // HOST}", "site:0")


def _volume(member: int) -> tuple[str, ...]:
    return (f"volume:{member % 2}",)


def _about(lasts_s: float, chance: Callable[[], float]) -> float:
    return lasts_s * (1 - SPREAD + 2 * SPREAD * chance())


def _site_outage(components: int, chance: Callable[[], float]) -> Scenario:
    outage = Trouble(
        members=range(components),
        begins_s=BEGINS_S,
        ends_s=BEGINS_S + _about(OUTAGE_S, chance),
        fault=UNREACHABLE,
    )
    return Scenario(
        name=Name.SITE_OUTAGE,
        says=f"the one site that all are at can't be reached for about {OUTAGE_S:g} s",
        components=components,
        troubles=(outage,),
        domains=_site,
        door=DOOR,
    )


def _rolling_reboot(components: int, chance: Callable[[], float]) -> Scenario:
    hosts = [range(first, min(first + HOST, components)) for first in range(0, components, HOST)]
    every_s = min(REBOOT_EVERY_S, (REBOOTS_END_S - BEGINS_S) / len(hosts))
    begins_s = [BEGINS_S + number * every_s for number in range(len(hosts))]
    return Scenario(
        name=Name.ROLLING_REBOOT,
        says=(
            f"hosts of {HOST} reboot one after another, every {every_s:.3g} s, "
            f"about {REBOOT_S:g} s each"
        ),
        components=components,
        troubles=tuple(
            Trouble(
                members=host,
                begins_s=at_s,
                ends_s=at_s + _about(REBOOT_S, chance),
                fault=REFUSED,
            )
            for host, at_s in zip(hosts, begins_s, strict=True)
        ),
        domains=_host,
        door=DOOR,
    )


def _flapping(components: int, chance: Callable[[], float]) -> Scenario:
    begins_s = [BEGINS_S + number * FLAP_EVERY_S for number in range(FLAPS)]
    return Scenario(
        name=Name.FLAPPING,
        says=(
            f"the one site that all are at can't be reached for about {FLAP_DOWN_S:g} s, "
            f"{FLAPS} times, every {FLAP_EVERY_S:g} s"
        ),
        components=components,
        troubles=tuple(
            Trouble(
                members=range(components),
                begins_s=at_s,
                ends_s=at_s + _about(FLAP_DOWN_S, chance),
                fault=UNREACHABLE,
            )
            for at_s in begins_s
        ),
        domains=_site,
        door=DOOR,
    )


def _disk_full(components: int, chance: Callable[[], float]) -> Scenario:
    full = Trouble(
        members=range(0, components, 2),
        begins_s=BEGINS_S,
        ends_s=BEGINS_S + _about(FULL_S, chance),
        fault=NO_SPACE,
        survives_s=(0.01, 0.05),
    )
    return Scenario(
        name=Name.DISK_FULL,
        says=f"every other one writes to a volume that is full for about {FULL_S:g} s",
        components=components,
        troubles=(full,),
        domains=_volume,
    )


def _crash_loop(components: int, chance: Callable[[], float]) -> Scenario:
    lengths_s: Sequence[float] = (
        *[inf] * BROKEN,
        *(_about(BAD_INPUT_S, chance) for _ in range(DISTURBED)),
    )
    return Scenario(
        name=Name.CRASH_LOOP,
        says=(
            f"of {HOST}, {BROKEN} crashes for ever, 1 to 3 s after each start, "
            f"and {DISTURBED} do so for about {BAD_INPUT_S:g} s"
        ),
        components=components,
        troubles=tuple(
            Trouble(
                members=range(place, components, HOST),
                begins_s=BEGINS_S,
                ends_s=BEGINS_S + lasts_s,
                fault=CRASH,
                survives_s=(1.0, 3.0),
            )
            for place, lasts_s in enumerate(lengths_s)
        ),
        domains=_host,
    )


_SCENARIOS: dict[Name, Callable[[int, Callable[[], float]], Scenario]] = {
    Name.SITE_OUTAGE: _site_outage,
    Name.ROLLING_REBOOT: _rolling_reboot,
    Name.FLAPPING: _flapping,
    Name.DISK_FULL: _disk_full,
    Name.CRASH_LOOP: _crash_loop,
}
