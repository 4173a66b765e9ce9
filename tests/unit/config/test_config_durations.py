"""Durations mean what people read in them, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.config.durations import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5min", 300), ("2h", 7200), ("7d", 604800)],
)
def test_each_unit_has_its_length(text: str, seconds: float) -> None:
    """Milliseconds, seconds, minutes, hours and days become seconds."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-1s", "+1s", " 1s", "1 s", "1S", "1m", "1e3s", "nans", "infs", ".5s", "٣s"],
)
def test_anything_else_is_refused(text: str) -> None:
    """A missing or unknown unit, a sign, a space and foreign digits are no durations."""
    with pytest.raises(ValueError, match="a duration with a unit"):
        duration_s(text)


@given(count=st.integers(min_value=0, max_value=365 * 24 * 60))
def test_a_minute_is_sixty_seconds_whatever_the_count(count: int) -> None:
    """Units agree with each other over the whole range."""
    assert duration_s(f"{count}min") == duration_s(f"{count * 60}s")


@given(text=st.text(alphabet="0123456789.msinhd- ", max_size=12))
def test_a_result_is_a_number_of_seconds(text: str) -> None:
    """Whatever is accepted is a finite number of seconds; the rest raises ValueError."""
    try:
        seconds = duration_s(text)
    except ValueError:
        return
    assert 0 <= seconds < float("inf")
