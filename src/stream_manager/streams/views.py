"""What people are shown of a stream: the values of `status`, as DESIGN's contract names them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stream_manager.clock import Clock, wall_of
from stream_manager.health import HealthState, health_of
from stream_manager.recovery import UP, Incident, Phase, Record, RecoveryManager
from stream_manager.streams.stream import Stream

_WORSE = (HealthState.DEGRADED, HealthState.UNHEALTHY, HealthState.FAILED)


def utc(instant_s: float | None, clock: Clock) -> str | None:
    """Return a monotonic instant as UTC ISO 8601 with Z."""
    if instant_s is None:
        return None
    return wall_of(instant_s, clock).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def deciding(stream: Stream) -> Record:
    """Return the component that the stream's state is about: the worker, else its source."""
    worker = stream.told[stream.id]
    if worker.phase not in UP:
        return worker
    return stream.told[stream.source_id]


def stream_state(stream: Stream) -> str:
    """Return the state of the whole stream."""
    record = deciding(stream)
    # A source that waits for a worker that is there is about to be started.
    about_to = record.phase is Phase.PARKED and record.held_by is None
    shown = Phase.STARTING if about_to else record.phase
    return str(shown.value)


def stream_health(stream: Stream) -> HealthState | None:
    """Return the health of the whole stream."""
    return health_of(
        worker=stream.told[stream.id].phase,
        source=stream.told[stream.source_id].phase,
        outputs=[stream.told[id_].phase for id_ in stream.output_ids],
        tracks_missing=bool(stream.missing),
    )


def summary(streams: Sequence[Stream]) -> str:
    """Return one line for all of them, like "40 streams, 38 healthy, 1 degraded, 1 stopped"."""
    healths = Counter(stream_health(stream) for stream in streams)
    counted = [f"{healths[HealthState.HEALTHY]} healthy"]
    counted += [f"{healths[it]} {it.value}" for it in _WORSE if healths[it]]
    counted += [f"{healths[None]} stopped"] if healths[None] else []
    noun = "stream" if len(streams) == 1 else "streams"
    return ", ".join([f"{len(streams)} {noun}", *counted])


def stream_status(stream: Stream, clock: Clock) -> dict[str, Any]:
    """Return one element of `streams` in `status --json`."""
    now_s = clock.monotonic_s()
    record = deciding(stream)
    worker, source = stream.told[stream.id], stream.told[stream.source_id]
    health = stream_health(stream)
    history, media = stream.history, stream.media
    fps, bitrate_bps = media.rates(now_s)
    return {
        "id": stream.id,
        "state": stream_state(stream),
        "health": None if health is None else health.value,
        "pid": stream.worker.pid,
        "abandoned": list(stream.worker.abandoned),
        "epoch": worker.epoch,
        "restarts_total": worker.restarts_total + source.restarts_total,
        "attempt": max(worker.attempts, source.attempts),
        "next_attempt_in_s": next_attempt_in_s(record, now_s),
        "waits_for": record.held_by,
        "last_fault": last_fault([stream.told[id_] for id_ in stream.ids], clock),
        "uptime_s": None if source.proven_at_s is None else now_s - source.proven_at_s,
        "availability": history.availability(),
        "outage_s_total": history.outages.total_s(now_s),
        "mttr_s": history.outages.mttr_s,
        "media": {
            "frames": media.frames,
            "bytes": media.bytes,
            "last_at": utc(media.last_s, clock),
            "fps": round(fps, 2),
            "bitrate_bps": round(bitrate_bps),
            "tracks": [
                {"name": it.name, "kind": it.kind, "codec": it.codec} for it in stream.tracks
            ],
        },
        "usage": _usage(stream),
        "outputs": [_output(stream, id_, clock) for id_ in stream.output_ids],
    }


def _usage(stream: Stream) -> dict[str, Any] | None:
    """Return what the stream's worker takes of the machine, and how much it may."""
    usage, limits = stream.limits.usage, stream.settings.limits
    if usage is None or stream.worker.pid is None:
        return None
    return {
        "memory_bytes": usage.memory_bytes,
        "memory_limit_bytes": limits.memory_bytes,
        "restart_above_bytes": limits.restart_above_bytes,
        "restart_due": stream.limits.renewal_due,
        "descriptors": usage.descriptors,
        "threads": usage.threads,
    }


def domains_status(recovery: RecoveryManager, clock: Clock) -> list[dict[str, Any]]:
    """Return `domains` in `status --json`: the incidents under way, and how many wait in each."""
    return [_domain(incident, clock) for incident in recovery.incidents.values()]


def _domain(incident: Incident, clock: Clock) -> dict[str, Any]:
    return {
        "domain": incident.domain,
        "state": incident.state.value,
        "cause": incident.cause.value,
        "since": utc(incident.since_s, clock),
        "members": incident.members,
        "waiting": incident.waiting,
        "probe": incident.probe,
        "next_probe_in_s": _next_probe_in_s(incident, clock.monotonic_s()),
    }


def _next_probe_in_s(incident: Incident, now_s: float) -> float | None:
    """Return how long until the next probe, or None where one is out, or none will be needed."""
    if incident.probe is not None or not incident.closed:
        return None
    due_s = max(incident.next_probe_s, incident.due_s or 0.0)  # while suspected: the verdict's
    return max(due_s - now_s, 0.0)


def next_attempt_in_s(record: Record, now_s: float) -> float | None:
    """Return how long until the component is tried again, or None where nothing is planned."""
    if record.held_by is not None:
        return None  # its domain plans that
    match record.phase:
        case Phase.BACKING_OFF | Phase.FAILED:
            due_s = record.due_s
        case Phase.TEARING_DOWN:
            due_s = record.resume_s
        case _:
            due_s = None
    return None if due_s is None else max(due_s - now_s, 0.0)


def last_fault(records: list[Record], clock: Clock) -> dict[str, Any] | None:
    """Return the newest fault among components."""
    sightings = [record.last for record in records if record.last is not None]
    if not sightings:
        return None
    newest = max(sightings, key=lambda sighting: sighting.at_s)
    return {
        "at": utc(newest.at_s, clock),
        "cause": newest.rule.cause.value,
        "class": newest.rule.fault_class.value,
        "code": newest.fault.code,
        "message": newest.fault.text,
    }


def _output(stream: Stream, id_: str, clock: Clock) -> dict[str, Any]:
    record = stream.told[id_]
    isolated = stream.isolated.get(id_)
    progress = stream.outputs.get(id_) if isolated is None else isolated.taken
    return {
        "id": id_.rpartition("/")[2],
        "kind": "record" if id_ == stream.record_id else "pipeline",
        "pid": isolated.worker.pid if isolated is not None else stream.worker.pid,
        "state": record.phase.value,
        "health": _output_health(record),
        "epoch": record.epoch,
        "attempt": record.attempts,
        "next_attempt_in_s": next_attempt_in_s(record, clock.monotonic_s()),
        "waits_for": record.held_by,
        "last_fault": last_fault([record], clock),
        "bytes": progress.bytes if progress is not None else 0,
        "segment": progress.segment or None if progress is not None else None,
        "last_write_at": utc(progress.last_s if progress is not None else None, clock),
    }


def _output_health(record: Record) -> str | None:
    match record.phase:
        case Phase.STOPPED | Phase.STOPPING:
            return None
        case Phase.RUNNING:
            return HealthState.HEALTHY.value
        case Phase.FAILED:
            return HealthState.FAILED.value
        case _:
            return HealthState.UNHEALTHY.value
