"""Why a stream is as it is, in sentences and in values: its components, and what was tried."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from stream_manager.clock import Clock, local_time
from stream_manager.health import HealthState
from stream_manager.recovery import Cause, Phase, Record, advice, explain, span
from stream_manager.store import Entry
from stream_manager.streams.stream import Stream
from stream_manager.streams.views import (
    deciding,
    last_fault,
    stream_health,
    stream_state,
    utc,
)

SHOWN = 8  # of what was tried, the newest
# With any of these a component begins anew: what was tried before is history.
_ANEW = frozenset(
    {"stable", "wanted", "configuration-changed", "restart-commanded", "reset-commanded"}
)

# What no attempt with the same settings can heal; a camera may lock the account for each.
_OF_SETTINGS = frozenset({Cause.AUTH, Cause.CONFIG})
_NEW_SETTINGS = (
    (
        "After a change of the configuration, or of a file that it reads, this tries at once:"
        " stream-manager reload"
    ),
    "After a change of an environment variable (secrets.env), restart the manager.",
    (
        "With the same settings once more, as after a change in the camera or of this machine:"
        " stream-manager reset {stream}"
    ),
)

Json = dict[str, Any]


def explanation(
    stream: Stream,
    entries: Sequence[Entry],
    *,
    clock: Clock,
    stopped_by_operator: bool,
    local: Callable[[float], str],
) -> Json:
    """Return what api.models.Explanation describes; `entries` are the stream's newest.

    local: renders a monotonic instant in local time.
    """
    now_s = clock.monotonic_s()
    records = sorted(stream.told.values(), key=_trouble, reverse=True)
    tried = _tried(entries)
    if stopped_by_operator and not records[0].wanted:
        sentences = [_stopped(stream, entries, now=clock.wall())]
    else:
        sentences = [_headline(stream, now_s, local)]
        for record in [it for it in records if _needs_words(it)] or [deciding(stream)]:
            sentences += explain(
                record, now_s=now_s, wall=local, incident=stream.incident_of(record.spec.id)
            )
        sentences += _adopted(stream, entries, now=clock.wall())
        sentences += _tries(tried, clock.wall())
        sentences += _kept(stream, records[0])
        sentences += _what_to_do(stream.id, records[0])
    return {
        "stream": stream.id,
        "state": stream_state(stream),
        "health": health.value if (health := stream_health(stream)) else None,
        "sentences": sentences,
        "components": [_component(record, now_s, clock) for record in records],
        "tried": [_try(entry) for entry in tried],
    }


def _trouble(record: Record) -> int:
    """Rank a component by how much it is the reason for what is not well."""
    match record.phase:
        case Phase.FAILED:
            return 4
        case Phase.BACKING_OFF | Phase.TEARING_DOWN:
            return 3
        case Phase.PARKED if record.held_by is not None:
            return 3
        case Phase.STARTING | Phase.VERIFYING if record.attempts or record.probing:
            return 2
        case Phase.STARTING | Phase.VERIFYING if record.spec.proven_by is None:
            return 1
        case _:
            return 0


def _needs_words(record: Record) -> bool:
    forgiven = record.attempts == 0
    waits_for_a_part = record.phase is Phase.VERIFYING and record.spec.proven_by is not None
    return not (forgiven and (record.phase is Phase.RUNNING or waits_for_a_part))


def _headline(stream: Stream, now_s: float, local: Callable[[float], str]) -> str:
    """Say how the stream is as a whole, since when, and what it lacks."""
    health, state = stream_health(stream), stream_state(stream)
    is_so = f"{stream.id} is {state}".replace("_", " ")
    if health is not None and health.value != state:
        is_so += f" and {health.value}"
    if outage := stream.history.outages.current:
        lasted, cause = span(now_s - outage.began_s), outage.cause
        return f"{is_so}: out since {local(outage.began_s)}, for {lasted}; the cause: {cause}."
    if health is not HealthState.DEGRADED:
        return f"{is_so}."
    outputs = [stream.told[id_] for id_ in stream.output_ids]
    lacking = [f"{it.spec.id} is down" for it in outputs if it.phase is not Phase.RUNNING]
    lacking += [f"no {track} comes" for track in sorted(stream.missing)]
    return f"{is_so}: {', '.join(lacking)}."


def _stopped(stream: Stream, entries: Sequence[Entry], now: datetime) -> str:
    """Say that a person wanted it so, and when, where the journal still knows."""
    stops = [it.at for it in entries if it.rule == "unwanted" and it.component == stream.id]
    when = f" at {local_time(stops[-1], now)}" if stops else ""
    return (
        f"{stream.id} is stopped: an operator stopped it{when}. It stays so, over restarts of the "
        f"manager too, until: stream-manager start {stream.id}"
    )


def _adopted(stream: Stream, entries: Sequence[Entry], now: datetime) -> list[str]:
    """Say that its process is older than this manager, if so."""
    run = (stream.id, stream.told[stream.id].epoch)
    adoptions = [it for it in entries if (it.component, it.epoch) == run and it.rule == "adopted"]
    if not adoptions:
        return []
    when = local_time(adoptions[-1].at, now)
    return [f"Its process outlived an earlier manager, and was taken over at {when} as it was."]


def _kept(stream: Stream, reason: Record) -> list[str]:
    """Tell of processes that can't be ended, and where to look into what is not well."""
    pids = ", ".join(map(str, stream.worker.abandoned))
    sentences = [f"Killed, but the kernel does not let go of process {pids}."] if pids else []
    number = max((it.number for it in stream.casebooks if it.number is not None), default=None)
    if number is not None and _needs_words(reason):
        sentences.append(f"What was kept of it: stream-manager incident show {number}")
    return sentences


def _what_to_do(stream: str, reason: Record) -> list[str]:
    """Tell what a person can do, and the command that need not wait for the next attempt."""
    if reason.last is None or _trouble(reason) < 2:
        return []
    todo = f"What you can do: {advice(reason.last.fault, reason.last.rule)}."
    match reason.phase:
        case Phase.FAILED | Phase.BACKING_OFF | Phase.TEARING_DOWN if (
            reason.last.rule.cause in _OF_SETTINGS
        ):
            return [todo, *(it.format(stream=stream) for it in _NEW_SETTINGS)]
        case Phase.FAILED:
            return [todo, f"When that is done: stream-manager reset {stream}"]
        case Phase.BACKING_OFF | Phase.TEARING_DOWN:
            return [todo, f"Not to wait for the next attempt: stream-manager reset {stream}"]
        case _:
            return [todo]


def _tried(entries: Sequence[Entry]) -> list[Entry]:
    """Return the faults of each component since it last began anew, oldest first."""
    faults: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.rule in _ANEW:
            faults[entry.component] = []
        elif entry.cause is not None:
            faults.setdefault(entry.component, []).append(entry)
    return sorted((it for some in faults.values() for it in some), key=lambda it: it.seq)


def _tries(tried: Sequence[Entry], now: datetime) -> list[str]:
    """Tell of several faults, each with what was done about it; one is told already."""
    if len(tried) < 2:
        return []
    newest = tried[-SHOWN:]
    some = f", the newest {SHOWN} of {len(tried)}" if len(tried) > SHOWN else ""
    rows = [f"  {local_time(it.at, now)}  {it.message}" for it in newest]
    return [f"What happened since {local_time(tried[0].at, now)}, and what was done{some}:", *rows]


def _try(entry: Entry) -> Json:
    known = ("rule", "cause", "class", "code", "attempt", "next_attempt_at", "message")
    values = entry.to_json()
    numbers = {name: entry.saw.get(name) for name in ("delay_s", "ceiling_s")}
    return {
        **{name: values[name] for name in ("at", "component", *known)},
        **numbers,
    }


def _component(record: Record, now_s: float, clock: Clock) -> Json:
    budget, last = record.spec.policy.budget, record.last
    return {
        "id": record.spec.id,
        "state": record.phase.value,
        "due_at": utc(record.due_s, clock),
        "waits_for": record.held_by,
        "attempts": record.attempts,
        "restarts_total": record.restarts_total,
        "delay_s": record.delay_s,
        "charged": sum(at_s >= now_s - budget.within_s for at_s in record.charged),
        "budget": {"restarts": budget.restarts, "within_s": budget.within_s},
        "ended_by": record.ended_by,
        "last_fault": last_fault([record], clock),
        "rule": None if last is None else last.rule.name,
    }
