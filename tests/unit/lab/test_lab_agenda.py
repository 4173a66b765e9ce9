import pytest

from stream_manager.errors import UsageError
from stream_manager.lab.agenda import Agenda, Begin
from stream_manager.lab.faults import FaultKind, Lasts, parse

KINDS = (
    FaultKind(name="rain", does="Water falls."),
    FaultKind(name="night", does="It gets dark."),
    FaultKind(name="flash", does="It gets bright.", lasts=Lasts.ONCE),
)


class Script:
    """An agenda, and what it gave out as words like "+rain" and "-rain"."""

    def __init__(self) -> None:
        self.agenda = Agenda()

    def take(self, line: str, now_s: float) -> None:
        """Give an order at an instant."""
        self.agenda.take(parse(line, KINDS), now_s)

    def due(self, now_s: float) -> list[str]:
        """Return what is due by an instant."""
        return [
            f"{'+' if isinstance(step, Begin) else '-'}{step.order.name}"
            for step in self.agenda.due(now_s)
        ]


def test_faults_begin_and_end_at_their_times() -> None:
    """Each after its wait and for its time; what is late comes in the order of the instants."""
    script = Script()
    script.take("rain after=5s for=10s", 100.0)
    script.take("night after=2s for=4s", 100.0)
    script.take("flash after=3s", 100.0)
    assert script.due(101.0) == []
    assert script.agenda.next_at_s() == 102.0
    assert script.due(103.0) == ["+night", "+flash"]
    assert script.due(120.0) == ["+rain", "-night", "-rain"]
    assert script.agenda.next_at_s() is None


def test_what_has_no_end_lasts_until_it_is_healed() -> None:
    """`heal NAME` ends one, `heal` all, and what is to come is forgotten with them."""
    script = Script()
    for line in ("rain", "night", "flash after=9s"):
        script.take(line, 1.0)
    assert script.due(50.0) == ["+rain", "+night", "+flash"]
    script.take("rain after=5s", 50.0)
    script.take("heal rain", 51.0)
    assert script.due(60.0) == ["-rain"]
    assert [order.name for order in script.agenda.on] == ["night"]
    script.take("heal", 61.0)
    assert script.due(61.0) == ["-night"]
    script.take("heal", 62.0)
    assert script.due(62.0) == []


def test_a_fault_that_is_ordered_again_ends_first() -> None:
    """The new order takes the old one's place, its end too."""
    script = Script()
    script.take("rain for=10s", 0.0)
    assert script.due(0.0) == ["+rain"]
    script.take("rain", 5.0)
    assert script.due(5.0) == ["-rain", "+rain"]
    assert script.due(100.0) == []


def test_nothing_of_a_name_to_heal_is_an_error() -> None:
    """A wrong name would else pass for healing."""
    script = Script()
    script.take("rain", 0.0)
    with pytest.raises(UsageError, match="heal night: this fault is neither on nor to come"):
        script.take("heal night", 0.0)
    assert script.due(0.0) == ["+rain"]
