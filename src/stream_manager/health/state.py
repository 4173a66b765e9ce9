"""A stream's health in one word, from the phases of its components."""

from collections.abc import Iterable
from enum import Enum

from stream_manager.recovery import Phase


class HealthState(Enum):
    """What an operator needs to know first. A stream that nobody wants has none (null)."""

    HEALTHY = "healthy"  # verified media flows, and all that was promised is there
    DEGRADED = "degraded"  # verified media flows, but something promised is missing
    UNHEALTHY = "unhealthy"  # no verified media; it is being repaired
    FAILED = "failed"  # no verified media, and no quick attempt to come


def health_of(
    *, worker: Phase, source: Phase, outputs: Iterable[Phase], tracks_missing: bool
) -> HealthState | None:
    """Judge a stream by its worker, its source and its outputs."""
    if worker in {Phase.STOPPED, Phase.STOPPING}:
        return None
    if Phase.FAILED in (worker, source):
        return HealthState.FAILED
    if source is not Phase.RUNNING or worker is not Phase.RUNNING:
        return HealthState.UNHEALTHY
    if tracks_missing or any(phase is not Phase.RUNNING for phase in outputs):
        return HealthState.DEGRADED
    return HealthState.HEALTHY
