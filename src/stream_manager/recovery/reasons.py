"""Why a component is in its state: what happened, which rule with which numbers, what comes next.

For a tired person, so each sentence stands alone. What a person can do is said by advice.
"""

from collections.abc import Mapping, Sequence

from stream_manager.recovery.circumstances import circumstances
from stream_manager.recovery.explain import Wall, in_words, standing
from stream_manager.recovery.faults import FaultClass
from stream_manager.recovery.incidents import Incident
from stream_manager.recovery.spans import span
from stream_manager.recovery.states import Phase, Record, Sighting

# What a class asks for, where the component is tried again.
RETRIED: Mapping[FaultClass, str] = {
    FaultClass.TRANSIENT: "the first one in a long time is tried again at once",
    FaultClass.RECOVERABLE: "it is tried again after a wait",
    FaultClass.CASCADE: "something shared is broken; it is tried again after a wait",
}
# Where its faults are not what it waits for.
_AT_REST = frozenset({Phase.STOPPED, Phase.STOPPING, Phase.PARKED})
_WAITING = frozenset({Phase.BACKING_OFF, Phase.TEARING_DOWN})


def explain(
    record: Record,
    *,
    now_s: float,
    wall: Wall,
    incident: Incident | None = None,
    awaits: Sequence[str] = (),
) -> list[str]:
    """Return sentences: where the component stands, why, and what happens next and when.

    now_s: the present monotonic instant. wall: renders such an instant for people. incident: that
        of the domain which holds the component. awaits: what keeps it from its start, as
        `RecoveryManager.awaits` tells it.
    """

    def at(instant_s: float) -> str:
        ahead_s = instant_s - now_s
        return f"{wall(instant_s)}, in {span(ahead_s)}" if ahead_s > 0 else wall(instant_s)

    phase = record.phase.value.replace("_", " ")
    sentences = [
        f"{record.spec.id} is {phase}: {standing(record, at, awaits=' and '.join(awaits))}."
    ]
    if incident is not None:
        sentences += circumstances(incident, now_s=now_s, wall=wall, at=at)
    last = record.last
    if last is None or record.phase in _AT_REST:
        return sentences
    sentences.append(
        f"Its last fault, at {wall(last.at_s)}, {span(now_s - last.at_s)} ago: "
        f"{in_words(last.fault, last.rule, proof=record.spec.proof)}."
    )
    sentences += [f"It said: {last.fault.text}"] if last.fault.text else []
    if record.phase is not Phase.RUNNING:
        sentences.append(_rule(record, last, now_s))
        sentences += _patience(record, now_s, wall)
        sentences += _wait(record)
        sentences += _given_up(record, wall)
    elif record.attempts:
        took = f"{record.attempts} {'retry' if record.attempts == 1 else 'retries'}"
        calm = span(record.spec.policy.stable_for_s)
        sentences.append(_rule(record, last, now_s))
        sentences.append(f"It took {took} to come back; {calm} without a fault forgive all.")
    return sentences


def _rule(record: Record, last: Sighting, now_s: float) -> str:
    """Tell what the rule asks for, and how far the budget is charged."""
    rule = last.rule
    judged = f"Rule {rule.name} judges it {rule.fault_class.value}, its cause {rule.cause.value}"
    if record.phase is Phase.FAILED or rule.fault_class is FaultClass.FATAL:
        return f"{judged}."
    judged += f": {RETRIED[rule.fault_class]}"
    if not rule.charged:
        return f"{judged}, and charged to no budget of restarts."
    budget = record.spec.policy.budget
    used = sum(at_s >= now_s - budget.within_s for at_s in record.charged)
    parent = record.spec.parent
    then = f"{parent} is restarted" if parent else "it is given up"
    if not record.spec.policy.enforce:
        then = "that is told, and nothing else, for its policy is a dry run"
    return (
        f"{judged}, and charged to its budget: {used} of "
        f"{budget.restarts} restarts within {budget.within_s:g} s; with one more than those {then}."
    )


def _patience(record: Record, now_s: float, wall: Wall) -> list[str]:
    """Tell how much of `give_up_after` is left."""
    policy, since_s = record.spec.policy, record.failing_since_s
    if record.phase is Phase.FAILED or since_s is None:
        return []
    past = "" if policy.enforce else " Past that nothing ends, for its policy is a dry run."
    if policy.give_up_after_attempts is not None:
        used = record.attempts - record.excused
        allowed = policy.give_up_after_attempts
        return [f"give_up_after allows {allowed} retries, and this is number {used}.{past}"]
    if policy.give_up_after_s is not None:
        allowed_s = span(policy.give_up_after_s)
        lasts = f"it fails since {wall(since_s)}, for {span(now_s - since_s)}"
        return [f"give_up_after allows {allowed_s} of failing, and {lasts}.{past}"]
    return []


def _wait(record: Record) -> list[str]:
    """Tell where the length of the wait comes from."""
    if record.phase not in _WAITING or record.delay_s == 0 or record.attempts == 0:
        return []
    backoff = record.spec.policy.backoff
    nth = record.attempts - 1
    ceiling_s, least_s = backoff.ceiling_s(nth), backoff.shortest_s(nth)
    if backoff.jitter == "decorrelated":
        drawn = f"drawn from {backoff.base_s:g} s to three times the one before"
    elif least_s == ceiling_s:
        drawn = "without chance in it"
    else:
        drawn = f"drawn from {least_s:g} to {ceiling_s:g} s, so that not all come back together"
    grows = f"grows {backoff.factor:g}-fold with each retry, to {backoff.cap_s:g} s at most"
    begins = f"it begins at {backoff.base_s:g} s and {grows}"
    return [f"The wait is {record.delay_s:.1f} s, {drawn}; {begins}."]


def _given_up(record: Record, wall: Wall) -> list[str]:
    if record.phase is not Phase.FAILED:
        return []
    policy = record.spec.policy
    match record.ended_by:
        case "poison":
            why = (
                f"the same fault came {record.same_faults} times before it ever worked, so it is "
                "not a matter of time"
            )
        case "temporary":
            why = "it is temporary: a fault ends it"
        case "give-up":
            why = f"give_up_after allows {policy.give_up_after_attempts} retries, and all were used"
        case "out-of-time":
            allowed_s, since_s = policy.give_up_after_s or 0.0, record.failing_since_s or 0.0
            why = f"give_up_after allows {span(allowed_s)}, and it failed since {wall(since_s)}"
        case "budget-spent":
            times = ", ".join(map(wall, record.charged))
            why = (
                f"its budget allows {policy.budget.restarts} restarts within "
                f"{policy.budget.within_s:g} s, and it fell at {times}"
            )
        case _:
            why = f"a retry can't cure that fault ({record.ended_by})"
    return [f"It was given up because {why}."]
