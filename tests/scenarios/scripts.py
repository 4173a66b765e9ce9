"""What happens in a world, and when: a script of steps, and how each of them is played."""

from random import Random

from tests.scenarios.casts import DOMAINS, FAULTS, SHARED_FAULTS
from tests.scenarios.worlds import DELAYS_S, World

from stream_manager.recovery import Failed, Handover, HandoverStep, Reset, Restart, Wanted

LEAPS_S = (30.0, 3600.0, 3 * 86400.0)
# What may happen to all, to one, and to calls through a breaker, each as often as it stands here.
ALL = (
    *("good", "good", "good", "pass", "pass", "pass", "pass", "leap", "deaf", "outage"),
    *("outage", "mend", "relapse", "crash", "join"),
)
ONE = (
    *("start", "prove", "end", "fail", "fail", "fail", "finish", "race", "stale", "late"),
    *("never", "again", "up", "down", "change", "restart", "reset", "leave"),
)
CALLS = ("call", "answer", "talk", "talk", "talk", "person")
HAPPENINGS = (*ALL, *ONE, *CALLS)
# What happens, to whom, and a number for the rest.
Step = tuple[str, int, int]


def script(chance: Random, length: int) -> list[Step]:
    """Write down what will happen."""
    draw = chance.randrange
    return [(chance.choice(HAPPENINGS), draw(60), draw(2520)) for _ in range(length)]


def play(world: World, step: Step) -> None:
    """Let one thing happen: an answer, a mishap, a command, the end of the manager."""
    what, who, number = step
    if what in ALL:
        _to_all(world, what, number)
    elif what in CALLS:
        world.calls.play(what, number, world.now_s)
    else:
        _to_one(world, world.ids[who % len(world.ids)], what, number)
    world.witness.looks_around()


def _to_all(world: World, what: str, number: int) -> None:
    match what:
        case "good":
            world.answers_all()
        case "pass":
            world.passes(DELAYS_S[number % len(DELAYS_S)])
        case "leap":
            world.passes(LEAPS_S[number % len(LEAPS_S)], at_once=True)
        case "deaf":
            world.is_deaf(DELAYS_S[number % len(DELAYS_S)])
        case "outage":
            domain = DOMAINS[number % len(DOMAINS)]
            fault = SHARED_FAULTS[number // 6 % len(SHARED_FAULTS)]
            world.suffers(domain, fault, each_s=(0.0, 0.2, 0.6)[number // 24 % 3])
        case "mend":
            world.broken.clear()
        case "relapse":
            world.relapses()
        case "crash":
            world.crashes(number)
        case _:  # join
            world.joins(number)


def _to_one(world: World, id_: str, what: str, number: int) -> None:
    fault, epoch = FAULTS[number % len(FAULTS)], world.epoch(id_)
    match what:
        case "race":
            world.races(id_, fault)
        case "fail" if id_ in world.starting or id_ in world.built:
            world.hear(Failed(id=id_, epoch=epoch, fault=fault))
        case "stale" if epoch > 0:
            world.says_anything(id_, epoch - 1, fault)
        case "late" if id_ in world.ending:
            world.says_anything(id_, epoch, fault)
        case "up" | "down":
            world.hear(Wanted(id=id_, up=what == "up", digest="0"))
        case "change":
            world.hear(Wanted(id=id_, up=True, digest=str(number % 3)))
        case "restart":
            world.hear(_restart(id_, epoch, number))
        case "reset":
            world.hear(Reset(id=id_))
        case "leave":
            world.leaves(id_)
        case _:
            world.answers(what, id_)


def _restart(id_: str, epoch: int, number: int) -> Restart | Handover:
    """Return a command, or a step of what is done about one where a successor is brought up."""
    steps = dict(enumerate(HandoverStep))
    if (step := steps.get(number % 8)) is None:
        return Restart(id=id_)
    return Handover(id=id_, epoch=epoch, step=step, why="restart")
