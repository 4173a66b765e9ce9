"""Who plays in a simulated world: components with their relations, policies and shared domains."""

from dataclasses import replace
from random import Random

from stream_manager.recovery import (
    Backoff,
    Budget,
    Fault,
    RecoveryPolicy,
    RestartType,
    Spec,
    Strategy,
    exit_fault,
)

EAGER = RecoveryPolicy(
    backoff=Backoff(base_s=0.5, factor=2.0, cap_s=30.0, jitter="equal"), budget=Budget(restarts=3)
)
POLICIES = (
    EAGER,
    replace(EAGER, budget=Budget(restarts=1)),
    replace(EAGER, give_up_after_attempts=1, probe_every_s=5.0),
    replace(EAGER, give_up_after_s=20.0, stable_for_s=5.0),
    replace(EAGER, budget=Budget(restarts=1), give_up_after_attempts=2, enforce=False),
    replace(EAGER, give_up_after_s=5.0, enforce=False),
    replace(EAGER, backoff=Backoff(jitter="decorrelated"), start_deadline_s=2.0),
)
FAULTS = (
    exit_fault(-11),
    exit_fault(2),
    Fault(origin="connect", code="ECONNREFUSED"),
    Fault(origin="h264parse", code="gst-stream-error:7"),
    Fault(origin="filesink", code="gst-resource-error:14"),
    Fault(origin="rtspsrc", code="gst-resource-error:15", status=401),
    Fault(origin="health", code="stall"),
    Fault(origin="process", code="SIGKILL:oom"),
    Fault(origin="mystery", code="never seen"),
)
# What all members of a domain can meet at once.
SHARED_FAULTS = (FAULTS[2], FAULTS[4], FAULTS[6], FAULTS[7])
DOMAINS = ("host:a", "host:b", "subnet:s", "volume:v", "api:x", "node")  # narrowest first


def stream(name: str, policy: RecoveryPolicy) -> list[Spec]:
    """Give a stream's components as the product builds them."""
    worker, source = name, f"{name}/source"
    return [
        Spec(id=worker, policy=policy, proven_by=source),
        Spec(id=source, policy=policy, parent=worker, needs=(worker,), inside=True),
        Spec(
            id=f"{name}/record", policy=policy, parent=worker, needs=(worker, source), inside=True
        ),
    ]


def sites(chance: Random) -> list[Spec]:
    """Give two hosts of one subnet, a volume across them, and a stream on one of the hosts."""
    a, b, subnet = "host:a", "host:b", "subnet:s"
    policy = chance.choice(POLICIES)
    specs = [
        Spec(id=f"a{it}", policy=policy, domains=(a, subnet, "node"))
        for it in range(3 + chance.randrange(3))
    ]
    specs += [Spec(id=f"b{it}", policy=policy, domains=(b, subnet, "node")) for it in range(3)]
    specs += [Spec(id=f"v{it}", policy=policy, domains=("volume:v", a)) for it in range(2)]
    specs += [Spec(id=f"w{it}", policy=policy, domains=(b, "volume:v")) for it in range(2)]
    worker, source, record = stream("door", policy)
    return [
        *specs,
        replace(worker, domains=("node",)),
        replace(source, domains=(a,)),
        replace(record, domains=("volume:v",)),
    ]


def tree(chance: Random, size: int) -> list[Spec]:
    """Give components that stand on each other in any way that is allowed."""
    specs: list[Spec] = []
    for number in range(size):
        parent = chance.choice((None, *specs)) if number else None
        others = [it.id for it in specs if it is not parent and chance.random() < 0.1]
        alone = parent is None or parent.strategy is not Strategy.ONE_FOR_ONE
        specs.append(
            Spec(
                id=f"c{number}",
                policy=chance.choice(POLICIES),
                parent=parent.id if parent else None,
                needs=(*([parent.id] if parent else []), *others),
                inside=not alone and chance.random() < 0.4,
                strategy=chance.choice(tuple(Strategy)),
                restart=chance.choice((RestartType.PERMANENT, *RestartType)),
                domains=tuple(it for it in DOMAINS if chance.random() < 0.3),
            )
        )
    for place, spec in enumerate(specs):
        parts = [it.id for it in specs if it.parent == spec.id and it.inside]
        if parts and chance.random() < 0.7:
            specs[place] = replace(spec, proven_by=parts[0])
    return specs


def cast(chance: Random) -> list[Spec]:
    """Give anybody: streams, sites, or a tree."""
    match chance.randrange(4):
        case 0:
            names = ("door", "yard")[: chance.randrange(1, 3)]
            return [it for name in names for it in stream(name, chance.choice(POLICIES))]
        case 1:
            return sites(chance)
        case _:
            return tree(chance, chance.randrange(3, 10))
