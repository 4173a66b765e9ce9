"""The experts' page says what the code does, and names every rule of the journal."""

from tests.unit.recovery.semantics_page import PAGE, page

from stream_manager.recovery import Trigger
from stream_manager.recovery.explain import ENDS, STEPS, WOULD
from stream_manager.recovery.incident_words import STEPS as INCIDENT_STEPS


def test_pictures_and_numbers_are_the_codes() -> None:
    """Stale? python -m tests.unit.recovery.semantics_page."""
    assert PAGE.read_text() == page()


def test_every_rule_of_the_journal_is_named() -> None:
    """Whoever reads a name in brackets finds on the page what it means."""
    text = PAGE.read_text()
    triggers = [trigger.value for trigger in Trigger]
    missing = [
        name
        for name in (*STEPS, *ENDS, *WOULD, *INCIDENT_STEPS, *triggers)
        if f"`{name}`" not in text
    ]
    assert not missing
