from datetime import UTC, datetime

import pytest

from stream_manager.lab.record import (
    ErrorFact,
    Fact,
    FaultFact,
    MediaFact,
    Phase,
    ReadyFact,
    SessionFact,
    from_json,
    instant,
    to_json,
)

AT = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)


@pytest.mark.parametrize(
    "fact",
    [
        ReadyFact(at=AT, port=1, urls={"a": "rtsp://b"}, tracks={"video": "h264"}),
        FaultFact(at=AT, name="freeze", phase=Phase.BEGAN),
        SessionFact(at=AT, mount="cam", viewer=3, phase=Phase.ENDED),
        MediaFact(at=AT, mount="cam", viewer=3, phase=Phase.LAST),
        ErrorFact(at=AT, name=None, text="gone"),
    ],
)
def test_a_line_holds_the_whole_fact(fact: Fact) -> None:
    """Written and read, every kind of fact is what it was."""
    assert from_json(to_json(fact)) == fact


def test_a_line_is_for_people_too() -> None:
    """UTC in milliseconds, then what happened."""
    fact = MediaFact(at=instant(1772600767089000000), mount="cam", viewer=1, phase=Phase.FIRST)
    assert to_json(fact) == (
        '{"at": "2026-03-04T05:06:07.089Z", "what": "media",'
        ' "mount": "cam", "viewer": 1, "phase": "first"}'
    )
