"""Bulkhead: bounded concurrency, a bounded queue, a bounded wait; for threads."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.supervision.holder import PATIENT_S, Holder, until

from stream_manager.errors import BulkheadFullError, OutsideError, UsageError
from stream_manager.supervision import Bulkhead, deadline


def test_it_lets_so_many_in_and_queues_the_others_as_they_came() -> None:
    """Two places: the third and fourth wait, and go in first come, first served."""
    bulkhead = Bulkhead("api", concurrent=2, queue=5, wait_s=PATIENT_S)
    entered: list[int] = []
    holders = []
    for number in range(6):
        holders.append(Holder(bulkhead, entered, number))
        until(lambda: len(entered) + bulkhead.waiting == len(holders))
    assert (bulkhead.running, bulkhead.waiting) == (2, 4)
    for holder in holders:
        holder.end()
        until(lambda: len(entered) == 6 - bulkhead.waiting)
    assert sorted(entered[:2]) == [0, 1]
    assert entered[2:] == [2, 3, 4, 5]
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


def test_a_full_queue_turns_away_at_once() -> None:
    """The error names the bulkhead, its limits and what to do; nothing was called."""
    bulkhead = Bulkhead("camera-api", concurrent=1, queue=0, wait_s=PATIENT_S)
    called: list[int] = []
    with bulkhead, pytest.raises(BulkheadFullError) as raised:
        bulkhead.call(called.append, 1)
    assert called == []
    error = raised.value
    assert isinstance(error, OutsideError)
    assert (error.name, error.concurrent, error.queue, error.waited_s) == ("camera-api", 1, 0, None)
    assert str(error) == (
        "bulkhead 'camera-api': all 1 places are taken and its queue of 0 is full; drop this call "
        "or make it later, and if that happens under a normal load, raise concurrent, queue or "
        "wait_s"
    )


def test_the_wait_is_bounded() -> None:
    """After `wait_s` in the queue the call is turned away, and the queue is empty again."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=0.01)
    with bulkhead:
        with pytest.raises(BulkheadFullError, match=r"none came free within 0\.01 s"):
            bulkhead.call(str)
        assert bulkhead.waiting == 0
    assert bulkhead.call(str) == ""


def test_a_deadline_around_shortens_the_wait() -> None:
    """A call that has no time left does not queue for half a minute."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)
    with bulkhead, deadline(0.01), pytest.raises(BulkheadFullError) as raised:
        bulkhead.call(str)
    assert raised.value.waited_s is not None
    assert raised.value.waited_s <= 0.01


def test_a_place_given_in_the_last_moment_is_used() -> None:
    """A waiter whose time ran out just when it was let in goes in, and loses no place."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)
    bulkhead.__enter__()
    waiter = bulkhead._enter(_late(bulkhead))
    assert waiter is not None
    waiter.wait(0.0)
    bulkhead._settle(waiter, 0.0)
    assert (bulkhead.running, bulkhead.waiting) == (1, 0)
    bulkhead.__exit__()
    assert bulkhead.running == 0


def _late(bulkhead: Bulkhead) -> Any:  # noqa: ANN401 - a waiter, which is private
    """Make waiters that are let in while their wait ends without having seen it."""

    class Late:
        admitted = False

        def wake(self) -> bool:
            return True

        def wait(self, at_most_s: float) -> None:
            assert at_most_s == 0.0
            bulkhead.__exit__()

    return Late


def test_an_interrupted_wait_passes_on_the_place_that_it_got() -> None:
    """Ctrl-C in the instant of being let in loses no place either."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)
    bulkhead.__enter__()
    waiter = bulkhead._enter(_late(bulkhead))
    assert waiter is not None
    waiter.wait(0.0)
    bulkhead._leave(waiter)
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


def test_an_interrupt_while_waiting_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt goes through, and nobody stands in the queue for ever."""
    bulkhead = Bulkhead("api", concurrent=1, wait_s=PATIENT_S)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stream_manager.supervision.bulkhead._Thread.wait", interrupt)
    with bulkhead:
        with pytest.raises(KeyboardInterrupt):
            bulkhead.call(str)
        assert bulkhead.waiting == 0
    assert bulkhead.running == 0


def test_a_finaliser_may_leave_while_its_thread_enters() -> None:
    """The collector may end a forgotten coroutine at any allocation, also at one under the lock."""
    bulkhead = Bulkhead("api", concurrent=1)
    bulkhead.__enter__()

    def made() -> Any:  # noqa: ANN401 - a waiter, which is private
        bulkhead.__exit__()
        return _late(bulkhead)()

    thread = threading.Thread(target=bulkhead._enter, args=(made,), daemon=True)
    thread.start()
    thread.join(PATIENT_S)
    assert not thread.is_alive()


def test_an_error_inside_gives_the_place_back() -> None:
    """And goes through as it is, as whatever is no Exception does."""
    bulkhead = Bulkhead("api", concurrent=1, queue=0)

    @bulkhead
    def fail(error: BaseException) -> None:
        raise error

    for error in (OSError("gone"), KeyboardInterrupt(), GeneratorExit()):
        with pytest.raises(type(error)):
            fail(error)
    assert bulkhead.running == 0
    assert fail.__name__ == "fail"


@pytest.mark.usefixtures("hasty_threads")
def test_it_never_lets_in_more_than_its_number() -> None:
    """Sixteen threads hammer four places, with waits that often end in the same instant."""
    bulkhead = Bulkhead("api", concurrent=4, queue=8, wait_s=0.001)
    counting = threading.Lock()
    inside, most, done, turned_away = 0, 0, 0, 0

    def work() -> None:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        time.sleep(0.0005)
        with counting:
            inside -= 1

    def hammer() -> None:
        nonlocal done, turned_away
        for _ in range(150):
            try:
                bulkhead.call(work)
            except BulkheadFullError:
                with counting:
                    turned_away += 1
            else:
                with counting:
                    done += 1

    threads = [threading.Thread(target=hammer) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENT_S)
    assert most == 4
    assert done + turned_away == 16 * 150
    assert min(done, turned_away) > 0
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


def test_generators_and_slipped_coroutines_are_refused() -> None:
    """A place that is given back before the work begins would bound nothing."""
    bulkhead = Bulkhead("api")

    def generator() -> Iterator[int]:
        yield 1

    async def fetch() -> None:
        raise AssertionError("never awaited")

    with pytest.raises(UsageError, match="a bulkhead can't guard the generator"):
        bulkhead(generator)
    with pytest.raises(UsageError, match="use acall"):
        bulkhead.call(fetch).close()
    assert bulkhead.running == 0
