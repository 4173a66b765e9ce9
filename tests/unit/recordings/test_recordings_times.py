import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from stream_manager.errors import UsageError
from stream_manager.recordings.times import Range, instant, range_of

NOW = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)  # noon in Berlin


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand where local time is two hours ahead of UTC in July."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "hour", "minute", "second"),
    [
        ("2026-07-01 06:00:05.5", 4, 0, 5.5),
        ("2026-07-01T06:00", 4, 0, 0),
        ("2026-07-01T06:00:05Z", 6, 0, 5),
        ("2026-07-01 06:00+05:00", 1, 0, 0),
        ("06:00", 4, 0, 0),
        ("06:00:07", 4, 0, 7),
        ("06:00Z", 6, 0, 0),
        ("10min", 9, 50, 0),
        (" 1.5h ", 8, 30, 0),
    ],
)
def test_forms_of_times(text: str, hour: int, minute: int, second: float) -> None:
    """Times are local unless they say otherwise; a duration is that long ago."""
    day = datetime(2026, 7, 1, tzinfo=UTC)
    expected = day + timedelta(hours=hour, minutes=minute, seconds=second)
    assert instant(text, option="--from", now=NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10", "yesterday", "25:00", "2026-13-01", "-5min", "999999999d", "0001-01-01", "\udc80"],
)
def test_text_that_is_no_time_is_named_with_the_forms(text: str) -> None:
    """The error says which option had which value, and what is understood."""
    with pytest.raises(UsageError) as refused:
        instant(text, option="--to", now=NOW)
    assert f"--to {text!r} is no time" in str(refused.value)
    assert "10min" in str(refused.value)


def test_a_range_must_hold_something() -> None:
    """Its end must be after its beginning."""
    with pytest.raises(UsageError, match="nothing lies between"):
        range_of("06:00", "06:00", now=NOW)


def test_a_range_holds_its_beginning_and_not_its_end() -> None:
    """Adjoining ranges share no instant."""
    hour = Range(since=NOW, until=NOW + timedelta(hours=1))
    assert hour.holds(NOW)
    assert not hour.holds(NOW + timedelta(hours=1))
    assert Range().holds(NOW)
