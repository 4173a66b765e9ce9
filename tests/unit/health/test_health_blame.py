"""Which fault explains an outage, as a table."""

import pytest

from stream_manager.health import tells_more
from stream_manager.recovery import Cause, Fault, FaultClass, Rule
from stream_manager.recovery.states import Sighting


def sighting(cause: Cause, *, origin: str = "rtspsrc") -> Sighting:
    """Return a fault that was judged to have this cause."""
    return Sighting(
        fault=Fault(origin=origin, code="any"),
        rule=Rule(name="any", cause=cause, fault_class=FaultClass.RECOVERABLE),
        at_s=0.0,
    )


BROKEN = sighting(Cause.NETWORK)
SILENT = sighting(Cause.STALL, origin="health")
REFUSED = sighting(Cause.NETWORK, origin="connect")


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (sighting(Cause.AUTH), BROKEN),
        (sighting(Cause.NOT_FOUND), BROKEN),
        (sighting(Cause.DEVICE), REFUSED),
        (sighting(Cause.MEDIA), BROKEN),
        (REFUSED, SILENT),
        (REFUSED, BROKEN),
    ],
    ids=str,
)
def test_an_answer_tells_more_than_a_silence(later: Sighting, earlier: Sighting) -> None:
    """And no connection more than a broken one; never the other way round."""
    assert tells_more(later, earlier)
    assert not tells_more(earlier, later)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (BROKEN, SILENT),  # a frozen camera accepts, and never answers
        (SILENT, BROKEN),
        (sighting(Cause.AUTH), sighting(Cause.CRASH)),  # what happened here explains itself
        (REFUSED, sighting(Cause.STORAGE)),
        (sighting(Cause.CRASH), BROKEN),
        (sighting(Cause.DEVICE), sighting(Cause.AUTH)),  # the first of two answers stays
    ],
    ids=str,
)
def test_the_first_explanation_stays(later: Sighting, earlier: Sighting) -> None:
    """What tells no more than the first one does not take its place."""
    assert not tells_more(later, earlier)
