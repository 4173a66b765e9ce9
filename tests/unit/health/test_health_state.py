"""A stream's health, from the phases of what it is made of."""

import pytest

from stream_manager.health import HealthState, health_of
from stream_manager.recovery import Phase

UP = Phase.RUNNING


@pytest.mark.parametrize(
    ("worker", "source", "outputs", "tracks_missing", "health"),
    [
        (UP, UP, [UP], False, HealthState.HEALTHY),
        (UP, UP, [], False, HealthState.HEALTHY),
        (UP, UP, [UP], True, HealthState.DEGRADED),
        (UP, UP, [Phase.VERIFYING], False, HealthState.DEGRADED),
        (UP, UP, [Phase.BACKING_OFF], False, HealthState.DEGRADED),
        (UP, UP, [Phase.FAILED], False, HealthState.DEGRADED),
        (UP, Phase.VERIFYING, [UP], False, HealthState.UNHEALTHY),
        (UP, Phase.BACKING_OFF, [Phase.PARKED], False, HealthState.UNHEALTHY),
        (Phase.VERIFYING, Phase.STARTING, [Phase.PARKED], False, HealthState.UNHEALTHY),
        (Phase.VERIFYING, UP, [UP], False, HealthState.UNHEALTHY),
        (Phase.BACKING_OFF, Phase.PARKED, [Phase.PARKED], False, HealthState.UNHEALTHY),
        (Phase.TEARING_DOWN, Phase.PARKED, [], False, HealthState.UNHEALTHY),
        (Phase.FAILED, Phase.PARKED, [Phase.PARKED], False, HealthState.FAILED),
        (UP, Phase.FAILED, [Phase.PARKED], True, HealthState.FAILED),
        (Phase.STOPPED, Phase.STOPPED, [Phase.STOPPED], False, None),
        (Phase.STOPPING, Phase.PARKED, [Phase.PARKED], True, None),
        (Phase.STOPPED, Phase.FAILED, [], False, None),
    ],
)
def test_health_is_a_table(
    *,
    worker: Phase,
    source: Phase,
    outputs: list[Phase],
    tracks_missing: bool,
    health: HealthState | None,
) -> None:
    """Verified media and all that was promised, in one word; null where nobody wants it."""
    found = health_of(worker=worker, source=source, outputs=outputs, tracks_missing=tracks_missing)
    assert found is health


def test_every_pair_of_phases_has_a_health() -> None:
    """No combination is left without an answer, and only wanted streams have one."""
    for worker in Phase:
        for source in Phase:
            health = health_of(worker=worker, source=source, outputs=[], tracks_missing=False)
            assert (health is None) == (worker in {Phase.STOPPED, Phase.STOPPING})
