import pytest

from stream_manager.config.durations import duration_s
from stream_manager.errors import UsageError
from stream_manager.lab.faults import (
    FaultKind,
    Heal,
    Lasts,
    Option,
    Order,
    one_of,
    parse,
    usage,
    yes_or_no,
)

RAIN = FaultKind(
    name="rain",
    does="Water falls.",
    options=(
        Option(name="drop", means="the size of a drop", read=one_of("small", "large")),
        Option(name="cold", means="as snow", read=yes_or_no, default="no"),
    ),
)
NIGHT = FaultKind(name="night", does="It gets dark.", lasts=Lasts.TIMED)
FLASH = FaultKind(
    name="flash",
    does="It gets bright.",
    options=(Option(name="delay", means="of the thunder", read=duration_s, default="3s"),),
    lasts=Lasts.ONCE,
)
KINDS = (RAIN, NIGHT, FLASH)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (
            "rain drop=small",
            Order(kind=RAIN, options={"drop": "small", "cold": False}),
        ),
        (
            "  rain  for=2s cold=yes after=500ms drop=large ",
            Order(kind=RAIN, options={"drop": "large", "cold": True}, after_s=0.5, for_s=2.0),
        ),
        ("night for=1min", Order(kind=NIGHT, options={}, for_s=60.0)),
        ("flash", Order(kind=FLASH, options={"delay": 3.0})),
        ("heal", Heal()),
        ("heal rain", Heal(name="rain")),
    ],
)
def test_a_line_is_an_order(line: str, order: Order | Heal) -> None:
    """Options in any order with their defaults, and durations in seconds."""
    assert parse(line, KINDS) == order


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "there is no fault ''. There are: rain, night, flash; and heal"),
        ("hail", "there is no fault 'hail'. There are: rain, night, flash; and heal"),
        ("rain", "rain: drop=… is missing (the size of a drop)"),
        ("rain drop=huge", "rain: drop=huge: expected small or large"),
        ("rain drop=small cold=1", "rain: cold=1: expected yes or no"),
        ("rain wind=1", "rain: it takes no 'wind=1', only drop=…, cold=…, after=…, for=…"),
        ("night 5s", "night: it takes no '5s', only after=…, for=…"),
        ("rain drop=small drop=large", "rain: drop is given twice"),
        ("night", "night: say how long, as in night for=3s"),
        ("night for=3", """night: for=3: '3' is not a duration with a unit, like "30s\""""),
        ("night for=0s", "night: for=0s would end it before it began"),
        ("flash for=1s", "flash: it is done at once, so it takes no for="),
        (
            "flash after=-1s",
            """flash: after=-1s: '-1s' is not a duration with a unit, like "30s\"""",
        ),
        ("heal hail", "there is no fault 'hail'. There are: rain, night, flash; and heal"),
        ("heal flash", "heal flash: it is done at once and can't be healed"),
        ("heal rain night", "heal rain night: expected heal, or heal and one fault's name"),
    ],
)
def test_a_line_that_orders_nothing_is_refused(line: str, message: str) -> None:
    """The error names the fault, the key and what would do."""
    with pytest.raises(UsageError) as caught:
        parse(line, KINDS)
    assert str(caught.value) == message


def test_usage_shows_what_can_be_written() -> None:
    """Every fault with its options; what may be left out stands in brackets."""
    assert usage(KINDS) == [
        "rain drop=… [cold=no]: Water falls.",
        "    drop: the size of a drop",
        "    cold: as snow",
        "night for=DURATION: It gets dark.",
        "flash [delay=3s]: It gets bright.",
        "    delay: of the thunder",
    ]
