"""Many threads and many tasks at once: what must hold however they are interleaved."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, pairwise

import pytest

from stream_manager.errors import CircuitOpenError
from stream_manager.recovery import BreakerState, Probe, Transition
from stream_manager.recovery import breaker as breaker_module
from stream_manager.supervision import BreakerRegistry, CircuitBreaker
from stream_manager.testing import FakeClock

THREADS = 8
CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Make the interpreter change threads a thousand times as often as it does."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before_s)


def all_at_once(work: Callable[[int], None]) -> None:
    """Run `work` with each number in a thread of its own; the first error of any is raised."""
    start = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


class Gauge:
    """How many are inside at once, the most that were, and how many have been in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.entered = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.entered += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


@pytest.mark.parametrize("max_concurrent", [1, 3])
def test_never_more_probes_than_allowed_are_inside(
    max_concurrent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hundreds of probes by eight threads through a breaker that opens again and again.

    The clock leaps with each rejection, so that the breaker is half-open most of the time, and
    other threads run while a probe's permit is made, where a missing lock would let them in.
    """

    def interrupted(**values: float) -> Probe:
        time.sleep(1e-5)
        return Probe(**values)  # type: ignore[arg-type]

    monkeypatch.setattr(breaker_module, "Probe", interrupted)
    clock = FakeClock()
    breaker = CircuitBreaker(
        "x",
        clock=clock,
        consecutive_failures=1,
        open_s=1.0,
        open_cap_s=1.0,
        max_concurrent=max_concurrent,
        successes_to_close=10**9,
        probe_lease_s=1e9,
    )
    inside, numbers = Gauge(), count()
    with suppress(OSError):
        breaker.call(fail)

    def work(_: int) -> None:
        while inside.entered < 300:
            with suppress(CircuitOpenError, OSError), breaker:
                with inside:
                    sum(range(50))
                if next(numbers) % 7 == 0:
                    raise OSError("gone")
            if breaker.state is OPEN:
                clock.now_s += 2.0

    all_at_once(work)
    assert 1 <= inside.most <= max_concurrent


def fail() -> None:
    """Be the failure."""
    raise OSError("gone")


def test_no_success_is_lost_and_none_is_counted_twice() -> None:
    """Counted without a lock, by eight threads, beside failures that are counted with it."""
    breaker = CircuitBreaker("x", failure_rate=1.0, min_calls=10, window_s=3600.0)
    guarded = breaker(lambda: None)
    guarded()

    def work(number: int) -> None:
        for nth in range(2000):
            if number == 0 and nth % 100 == 0:
                with suppress(OSError):
                    breaker.call(fail)
            guarded()

    all_at_once(work)
    assert (breaker.tally().calls, breaker.tally().failures) == (THREADS * 2000 + 21, 20)
    assert (breaker.state, breaker.late_results) == (CLOSED, 0)


def test_transitions_are_told_in_their_order_by_whatever_thread() -> None:
    """Eight threads trip and reset; a listener sees each generation once, one after the other."""
    breaker = CircuitBreaker("x", consecutive_failures=1)
    heard: list[Transition] = []
    breaker.on_transition(heard.append)

    def work(_: int) -> None:
        for _ in range(100):
            with suppress(OSError, CircuitOpenError):
                breaker.call(fail)
            breaker.reset()

    all_at_once(work)
    assert [it.generation for it in heard] == list(range(2, len(heard) + 2))
    assert all(one.after is two.before for one, two in pairwise(heard))
    assert len(heard) > THREADS * 100


def test_a_key_has_one_breaker_whoever_asks_first() -> None:
    """Eight threads that ask at once get the same."""
    registry = BreakerRegistry()
    found: list[CircuitBreaker] = []
    all_at_once(lambda _: found.extend(registry.of(str(key)) for key in range(100)))
    assert len({id(it) for it in found}) == 100


# Tasks
def half_open_at(clock: FakeClock, **spans: float) -> CircuitBreaker:
    """Return a breaker whose next call is a probe."""
    breaker = CircuitBreaker(
        "x", clock=clock, consecutive_failures=1, probe_lease_s=spans.get("lease_s", 1e6)
    )
    with suppress(OSError):
        breaker.call(fail)
    clock.now_s += 5.0
    return breaker


def test_of_fifty_tasks_one_is_the_probe() -> None:
    """49 are rejected at once, while the one still waits."""

    async def run() -> None:
        breaker = half_open_at(FakeClock())
        answer = asyncio.Event()
        calls = [asyncio.create_task(breaker.call(answer.wait)) for _ in range(50)]
        await asyncio.sleep(0)
        rejected = [it for it in calls if it.done()]
        assert len(rejected) == 49
        assert all(isinstance(it.exception(), CircuitOpenError) for it in rejected)
        answer.set()
        await asyncio.wait(calls)
        assert breaker.state is HALF_OPEN

    asyncio.run(run())


@pytest.mark.parametrize("way", ["decorator", "async with"])
def test_a_cancelled_probe_gives_its_place_back(way: str) -> None:
    """It says nothing about what it called, and the next call is the next probe."""

    async def run() -> None:
        breaker = half_open_at(FakeClock())

        @breaker
        async def decorated() -> None:
            await asyncio.Event().wait()

        async def inside() -> None:
            async with breaker:
                await asyncio.Event().wait()

        task = asyncio.create_task(decorated() if way == "decorator" else inside())
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpenError):
            await breaker.call(asyncio.sleep, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert breaker.state is HALF_OPEN
        await breaker.call(asyncio.sleep, 0)
        await breaker.call(asyncio.sleep, 0)
        assert breaker.state is CLOSED

    asyncio.run(run())


def test_a_timeout_inside_the_guard_is_a_failure_and_around_it_a_cancellation() -> None:
    """Only what is inside can tell the breaker that the called thing was too slow."""

    async def run() -> None:
        breaker = CircuitBreaker("x", consecutive_failures=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), breaker:
                await asyncio.Event().wait()
        assert breaker.state is CLOSED
        with pytest.raises(TimeoutError):
            async with breaker, asyncio.timeout(0):
                await asyncio.Event().wait()
        assert breaker.state is OPEN

    asyncio.run(run())


def test_a_coroutine_that_is_closed_gives_its_place_back() -> None:
    """As one that is thrown away while it waits."""
    breaker = half_open_at(FakeClock())

    @breaker
    async def waiting() -> None:
        await asyncio.Future[None](loop=loop)

    loop = asyncio.new_event_loop()
    coroutine = waiting()
    coroutine.send(None)
    with pytest.raises(CircuitOpenError):
        breaker.call(fail)
    coroutine.close()
    loop.close()
    with pytest.raises(OSError, match="gone"):
        breaker.call(fail)


def test_a_coroutine_that_is_never_awaited_takes_no_place() -> None:
    """It is admitted when it runs, not when it is made."""

    async def run() -> None:
        breaker = half_open_at(FakeClock())
        made = breaker.call(asyncio.sleep, 0)
        await breaker.call(asyncio.sleep, 0)
        made.close()
        await breaker.call(asyncio.sleep, 0)
        assert breaker.state is CLOSED

    asyncio.run(run())


def test_a_probe_that_hangs_past_its_lease_does_not_block_for_ever() -> None:
    """The next call finds it lost; past the longer open time another probe goes out."""

    async def run() -> None:
        clock = FakeClock()
        breaker = half_open_at(clock, lease_s=10.0)
        hung = asyncio.create_task(breaker.call(asyncio.Event().wait))
        await asyncio.sleep(0)
        clock.now_s += 10.0
        with pytest.raises(CircuitOpenError):
            await breaker.call(asyncio.sleep, 0)
        assert breaker.state is OPEN
        clock.now_s += 10.0
        await breaker.call(asyncio.sleep, 0)
        hung.cancel()
        await asyncio.wait([hung])
        assert (breaker.state, breaker.late_results) == (HALF_OPEN, 1)

    asyncio.run(run())


def test_what_a_task_entered_is_its_own() -> None:
    """Tasks that were made inside `async with`, and interleave, each settle their own call."""

    async def run() -> None:
        breaker = CircuitBreaker("x", failure_rate=1.0, min_calls=100)

        async def child(*, fails: bool) -> None:
            with suppress(OSError):
                async with breaker:
                    await asyncio.sleep(0)
                    if fails:
                        raise OSError("gone")
                    await asyncio.sleep(0)

        async with breaker, asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(child(fails=number % 2 == 0))
        assert (breaker.tally().calls, breaker.tally().failures) == (11, 5)

    asyncio.run(run())
