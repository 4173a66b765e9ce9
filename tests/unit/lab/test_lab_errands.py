"""Threads that ask another to do something, and never wait for one that has ended."""

import select
from collections.abc import Callable, Iterator

import pytest

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.errands import Errands


@pytest.fixture
def errands() -> Iterator[Errands]:
    """Give a queue of calls that this thread both fills and empties."""
    made = Errands()
    yield made
    made.close()


def failing(error: Exception) -> Callable[[], None]:
    """Return what raises an error."""

    def do() -> None:
        raise error

    return do


def test_what_is_asked_is_done_in_turn_and_answered(errands: Errands) -> None:
    """A result and an error of ours both reach whoever asked, and the descriptor says when."""
    assert not select.select([errands], [], [], 0)[0]
    done, failed = errands.ask(lambda: "done"), errands.ask(failing(UsageError("no")))
    assert select.select([errands], [], [], 0)[0]
    errands.wake()
    assert errands.answer()
    assert done.result(0) == "done"
    with pytest.raises(UsageError, match="no"):
        failed.result(0)
    assert not select.select([errands], [], [], 0)[0]


def test_nobody_waits_for_an_owner_that_ends(errands: Errands) -> None:
    """What was asked after the end, or when it has come, is refused."""
    before = errands.ask(lambda: 1)
    errands.ask_to_end()
    after = errands.ask(lambda: 2)
    assert not errands.answer()
    errands.refuse()
    assert before.result(0) == 1
    with pytest.raises(OutsideError, match="was stopped"):
        after.result(0)
    with pytest.raises(OutsideError, match="was stopped"):
        errands.ask(lambda: 3)


def test_a_slip_of_ours_ends_the_owner_and_still_answers(errands: Errands) -> None:
    """Its thread dies of the error; whoever asked is told no more than that it is gone."""
    asked = errands.ask(failing(ValueError("ours")))
    with pytest.raises(ValueError, match="ours"):
        errands.answer()
    with pytest.raises(OutsideError, match="was stopped"):
        asked.result(0)
