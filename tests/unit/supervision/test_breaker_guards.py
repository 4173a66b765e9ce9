"""The guards: who raises what, what counts, who is told, and that nothing is held meanwhile."""

import asyncio
import functools
import gc
import inspect
import logging
import pickle
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from math import nan
from typing import Any, NoReturn

import pytest

from stream_manager.errors import CircuitOpenError, OutsideError, UsageError
from stream_manager.recovery import BreakerState, Transition
from stream_manager.supervision import BreakerRegistry, CircuitBreaker
from stream_manager.testing import FakeClock

PATIENT_S = 30.0

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState


class Guarded:
    """A breaker on a fake clock, in front of something that can be switched off."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as the breaker takes them
        self.clock = FakeClock()
        self.breaker = CircuitBreaker("api", clock=self.clock, chance=lambda: 0.0, **options)
        self.error: BaseException | None = None
        self.calls = 0
        self.told: list[tuple[BreakerState, BreakerState]] = []
        self.breaker.on_transition(lambda it: self.told.append((it.before, it.after)))

    def work(self, value: str = "done") -> str:
        """Return `value`, or raise what the test has set."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        return value

    async def work_async(self, value: str = "done") -> str:
        """Do the same, after having waited."""
        await asyncio.sleep(0)
        return self.work(value)


def by_decorator(it: Guarded) -> str:
    """Call through a decorated function."""
    return it.breaker(it.work)("done")


def by_call(it: Guarded) -> str:
    """Call through `call`."""
    return it.breaker.call(it.work, value="done")


def by_with(it: Guarded) -> str:
    """Call inside `with`."""
    with it.breaker:
        return it.work("done")


def by_async_decorator(it: Guarded) -> str:
    """Await a decorated coroutine function."""
    return asyncio.run(run(it.breaker(it.work_async), "done"))


def by_async_call(it: Guarded) -> str:
    """Await what `call` returns."""
    return asyncio.run(run(it.breaker.call, it.work_async, "done"))


def by_async_with(it: Guarded) -> str:
    """Await inside `async with`."""

    async def inside() -> str:
        async with it.breaker:
            return await it.work_async("done")

    return asyncio.run(inside())


async def run(function: Callable[..., Any], *arguments: object) -> str:
    """Await a call's result."""
    result: str = await function(*arguments)
    return result


WAYS = (by_decorator, by_call, by_with, by_async_decorator, by_async_call, by_async_with)
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@EACH_WAY
def test_each_way_returns_counts_trips_and_rejects(way: Callable[[Guarded], str]) -> None:
    """The tripping call raises its own error, the next one CircuitOpenError, without a call."""
    it = Guarded()
    assert way(it) == "done"
    it.error = OSError("refused")
    for _ in range(5):
        with pytest.raises(OSError, match="refused"):
            way(it)
    assert (it.breaker.state, it.calls) == (OPEN, 6)
    with pytest.raises(CircuitOpenError) as caught:
        way(it)
    assert it.calls == 6
    error = caught.value
    assert (error.name, error.retry_after_s) == ("api", 2.5)
    assert error.last_cause == "OSError: refused"
    assert it.breaker.rejected == 1


@EACH_WAY
def test_each_way_comes_back(way: Callable[[Guarded], str]) -> None:
    """Past the open time two successes close it."""
    it = Guarded()
    trip(it)
    it.clock.now_s += 2.5
    it.error = None
    assert way(it) == "done"
    assert it.breaker.state is HALF_OPEN
    assert way(it) == "done"
    assert it.told == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


@EACH_WAY
@pytest.mark.parametrize("error", [KeyError("known"), asyncio.CancelledError(), GeneratorExit()])
def test_ignored_and_cancelled_calls_decide_nothing(
    way: Callable[[Guarded], str], error: BaseException
) -> None:
    """They are raised as they are, and give a probe's place back."""
    it = Guarded(ignore=KeyError, consecutive_failures=1)
    it.error = error
    for _ in range(3):
        with pytest.raises(type(error)):
            way(it)
    assert (it.breaker.state, it.breaker.tally().calls) == (CLOSED, 0)
    trip(it)
    it.clock.now_s += 2.5
    it.error = error
    for _ in range(3):
        with pytest.raises(type(error)):
            way(it)
    assert it.breaker.state is HALF_OPEN


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_is_no_failure_of_what_was_called(error: type[BaseException]) -> None:
    """Nor is the end of the program."""
    it = Guarded(consecutive_failures=1)
    it.error = error()
    with pytest.raises(error):
        by_decorator(it)
    assert (it.breaker.state, it.breaker.tally().calls) == (CLOSED, 0)


@EACH_WAY
def test_slow_calls_are_measured(way: Callable[[Guarded], str]) -> None:
    """By the breaker's clock, around the call alone."""
    it = Guarded(slow_call_s=2.0, slow_rate=0.5, min_calls=2)
    work = it.work

    def slow(value: str) -> str:
        it.clock.now_s += 2.0
        return work(value)

    it.work = slow  # type: ignore[method-assign,assignment]
    way(it)
    assert it.breaker.tally().slow == 1
    way(it)
    assert it.told == [(CLOSED, OPEN)]


def trip(it: Guarded) -> None:
    """Let it fail until it is open."""
    it.error = OSError("refused")
    while it.breaker.state is CLOSED:
        with pytest.raises(OSError, match="refused"):
            it.breaker.call(it.work)


# What is done without the lock is the same as with it
def outcomes(it: Guarded, letters: str) -> None:
    """Make a call for each letter: S succeeds, F fails."""
    for letter in letters:
        it.error = OSError("gone") if letter == "F" else None
        with suppress(OSError):
            by_decorator(it)


def test_a_success_ends_a_row_of_failures() -> None:
    """Also when the window is full enough for successes to be merely counted."""
    it = Guarded()
    outcomes(it, "SSSSSSSSSSFFFFSFFFF")
    assert it.breaker.state is CLOSED


def test_a_success_that_completes_the_least_number_opens() -> None:
    """Three failures of four calls are a rate of 75 %, whoever made the fourth."""
    it = Guarded(min_calls=4)
    outcomes(it, "FFFS")
    assert it.breaker.state is OPEN


def test_successes_leave_the_window_in_their_time() -> None:
    """The first one after a bucket's end moves the window on."""
    it = Guarded(failure_rate=0.5, window_s=30.0)
    outcomes(it, "SSSS")
    it.clock.now_s += 20.0
    outcomes(it, "SS")
    assert it.breaker.tally().calls == 6
    it.clock.now_s += 15.0
    outcomes(it, "S")
    assert it.breaker.tally().calls == 3


def test_a_count_window_is_filled_by_successes() -> None:
    """Only a full one may pass them by: five successes make one failure a rate of 20 %."""
    it = Guarded(failure_rate=0.25, window_calls=5)
    outcomes(it, "SSSSSSSSF")
    assert (it.breaker.state, it.breaker.tally().calls) == (CLOSED, 5)


def test_calls_come_back_along_the_ramp() -> None:
    """After closing, twenty at once and no more; after it, all."""
    it = Guarded()
    trip(it)
    it.clock.now_s += 2.5
    outcomes(it, "SS")
    assert it.breaker.state is CLOSED
    it.calls = 0
    for _ in range(100):
        with suppress(CircuitOpenError):
            by_decorator(it)
    assert it.calls == 20
    it.clock.now_s += 1.0
    outcomes(it, "S" * 100)
    assert it.calls == 120


# Functions of all kinds
def test_a_decorated_function_stays_what_it_was() -> None:
    """Name, docstring, kind and the access from an instance."""
    breaker = CircuitBreaker("x")

    class Client:
        @breaker
        def get(self, path: str, *, times: int = 1) -> str:
            """Get."""
            return path * times

        @breaker
        async def get_async(self, path: str) -> str:
            return path

    assert Client().get("a", times=2) == "aa"
    assert (Client.get.__name__, Client.get.__doc__) == ("get", "Get.")
    assert inspect.iscoroutinefunction(Client.get_async)
    assert asyncio.run(run(Client().get_async, "b")) == "b"


def test_partials_and_objects_are_told_apart_by_what_they_return() -> None:
    """A coroutine is awaited inside the guard, wherever it comes from."""
    it = Guarded(consecutive_failures=1)

    class Service:
        async def __call__(self) -> NoReturn:
            raise OSError("refused")

    for function in (functools.partial(asyncio.wait_for, _never(), 0), Service()):
        it.breaker.reset()
        with pytest.raises(OSError, match=r"refused|^$"):
            asyncio.run(run(it.breaker(function)))
        assert it.breaker.state is OPEN


async def _never() -> None:
    await asyncio.Event().wait()


def test_a_wrapped_function_is_told_apart_by_its_marks() -> None:
    """A decorated coroutine function can be decorated again, and so can a plain one."""
    it = Guarded()
    assert asyncio.run(run(it.breaker(it.breaker(it.work_async)))) == "done"
    assert it.breaker(it.breaker(it.work))() == "done"
    assert it.breaker.tally().calls == 4


def test_a_generator_is_refused() -> None:
    """Its work is done after the call, where no guard sees it."""
    breaker = CircuitBreaker("x")

    def numbers() -> Iterator[int]:
        yield 1

    async def numbers_async() -> AsyncIterator[int]:
        yield 1

    for function in (numbers, numbers_async, functools.partial(numbers)):
        with pytest.raises(UsageError, match="can't guard the generator"):
            breaker(function)
        with pytest.raises(UsageError, match="can't guard the generator"):
            breaker.call(function)


def test_a_function_may_call_itself_through_its_guard() -> None:
    """Guards nest; each call counts."""
    breaker = CircuitBreaker("x")

    @breaker
    def down(n: int) -> int:
        return down(n - 1) if n else 0

    assert down(3) == 0
    assert breaker.tally().calls == 4


def test_breakers_may_be_entered_and_left_in_any_order() -> None:
    """Each exit settles the call of its own breaker."""
    one, two = Guarded(consecutive_failures=1), Guarded(consecutive_failures=1)
    with one.breaker, suppress(OSError), two.breaker, one.breaker:
        raise OSError("gone")
    assert (one.breaker.state, two.breaker.state) == (OPEN, OPEN)
    one, two = Guarded(), Guarded()
    one.breaker.__enter__()
    two.breaker.__enter__()
    one.breaker.__exit__(None, None, None)
    two.breaker.__exit__(OSError, OSError("x"), None)
    assert (one.breaker.tally().failures, two.breaker.tally().failures) == (0, 1)
    assert (one.breaker.tally().calls, two.breaker.tally().calls) == (1, 1)


def test_what_is_left_in_another_context_settles_nothing() -> None:
    """A generator that is closed elsewhere raises nothing of ours; a probe's lease sees to it."""
    it = Guarded()
    with ExitStack() as stack:
        stack.push(it.breaker)
    assert it.breaker.tally().calls == 0


# Rejections
def test_the_error_tells_what_to_do_and_survives_a_pickle() -> None:
    """It belongs to the outside world's errors, and its text has name, wait and cause."""
    error = CircuitOpenError("api", 3.24, "OSError: gone")
    assert isinstance(error, OutsideError)
    assert str(error) == (
        "circuit breaker 'api' admits no call now; try again in 3.2 s; "
        "the last failure was OSError: gone"
    )
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.retry_after_s, again.last_cause) == error.args
    assert str(CircuitOpenError("api", None, None)) == "circuit breaker 'api' admits no call now"


def test_forced_open_rejects_without_an_end_until_a_reset() -> None:
    """Nobody is told to come back after infinity."""
    it = Guarded()
    it.breaker.force_open()
    with pytest.raises(CircuitOpenError) as caught:
        by_call(it)
    assert (caught.value.retry_after_s, caught.value.last_cause) == (None, None)
    it.breaker.reset()
    assert by_call(it) == "done"
    assert it.told == [(CLOSED, FORCED_OPEN), (FORCED_OPEN, CLOSED)]


def test_a_busy_half_open_breaker_rejects() -> None:
    """While its probe is out nobody can tell how long."""
    it = Guarded()
    trip(it)
    it.clock.now_s += 2.5
    with it.breaker, pytest.raises(CircuitOpenError) as caught:
        by_call(it)
    assert caught.value.retry_after_s is None
    assert it.breaker.state is HALF_OPEN


def test_a_dry_run_calls_all_the_same_and_tells() -> None:
    """It opens, counts what it would have rejected, half-opens and closes; nobody is rejected."""
    it = Guarded(enforce=False)
    enforced: list[bool] = []
    it.breaker.on_transition(lambda told: enforced.append(told.enforced))
    trip(it)
    it.error = None
    for _ in range(3):
        assert by_call(it) == "done"
    assert (it.breaker.state, it.breaker.rejected, it.calls) == (OPEN, 3, 8)
    it.clock.now_s += 2.5
    by_call(it)
    by_call(it)
    assert it.told == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]
    assert enforced == [False] * 3


def test_reading_changes_nothing() -> None:
    """OPEN stays OPEN, however long one looks at it."""
    it = Guarded()
    trip(it)
    it.clock.now_s += 1e6
    it.breaker.dump()
    assert it.breaker.tally().calls == 0
    assert (it.breaker.state, it.breaker.late_results, len(it.told)) == (OPEN, 0, 1)


def test_a_failures_frames_are_not_kept() -> None:
    """What a failing call held is free again, while the breaker still tells the failure's text."""

    class Load:
        pass

    it = Guarded()
    loads: list[weakref.ref[Load]] = []

    def fail() -> NoReturn:
        load = Load()
        loads.append(weakref.ref(load))
        raise OSError("gone")

    for _ in range(5):
        with suppress(OSError):
            it.breaker.call(fail)
    gc.collect()
    assert [load() for load in loads] == [None] * 5
    with pytest.raises(CircuitOpenError, match="OSError: gone"):
        it.breaker.call(fail)


@pytest.mark.parametrize(
    ("said", "cause"), [("", "Strange"), ("x" * 999, f"Strange: {'x' * 200}"), (None, "Strange")]
)
def test_a_failure_is_remembered_in_few_words(said: str | None, cause: str) -> None:
    """A text that is empty, endless, or can't be made breaks nothing."""

    class Strange(Exception):  # noqa: N818 - it is
        def __str__(self) -> str:
            if said is None:
                raise RuntimeError("no text")
            return said

    it = Guarded(consecutive_failures=1)
    it.error = Strange()
    with pytest.raises(Strange):
        by_call(it)
    with pytest.raises(CircuitOpenError) as caught:
        by_call(it)
    assert caught.value.last_cause == cause


# Listeners
def test_a_listener_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The call raises its own error, the others are told, and the log has it."""
    it = Guarded()

    @it.breaker.on_transition
    def broken(_: Transition) -> NoReturn:
        raise RuntimeError("no space in the journal")

    after: list[BreakerState] = []
    it.breaker.on_transition(lambda told: after.append(told.after))
    with caplog.at_level(logging.ERROR):
        trip(it)
    assert after == [OPEN]
    assert "no space in the journal" in caplog.text
    assert "circuit breaker 'api': a listener failed" in caplog.text


def test_a_listener_may_use_the_breaker_and_all_hear_it_in_order() -> None:
    """What a listener brings about is told after what it was told, to everybody."""
    it = Guarded()
    first: list[BreakerState] = []

    def reset(told: Transition) -> None:
        first.append(told.after)
        if told.after is OPEN:
            it.breaker.reset()

    it.breaker.on_transition(reset)
    last: list[BreakerState] = []
    it.breaker.on_transition(lambda told: last.append(told.after))
    it.error = OSError("refused")
    for _ in range(5):
        with suppress(OSError):
            by_call(it)
    assert first == last == [OPEN, CLOSED]


@pytest.mark.parametrize("inside", ["call", "listener"])
def test_no_lock_is_held_while_others_code_runs(inside: str) -> None:
    """Another thread's call goes through while a guarded call, or a listener, still runs."""
    it = Guarded(consecutive_failures=1)
    done = threading.Event()

    def elsewhere(*_: object) -> None:
        def use() -> None:
            it.breaker.reset()
            it.breaker.call(lambda: None)
            it.breaker.dump()
            done.set()

        threading.Thread(target=use, daemon=True).start()
        assert done.wait(10), "a lock is held"

    if inside == "call":
        it.breaker.call(elsewhere)
    else:
        it.breaker.on_transition(lambda told: None if done.is_set() else elsewhere(told))
        trip_once = suppress(OSError)
        it.error = OSError("refused")
        with trip_once:
            by_call(it)
    assert done.is_set()


# Construction
def test_bad_rules_are_refused_and_odd_ones_warned_of() -> None:
    """With the field's name and value; the warning points to who made it."""
    with pytest.raises(ValueError, match=r"failure_rate is 1\.5"):
        CircuitBreaker("x", failure_rate=1.5)
    with pytest.warns(UserWarning, match="'x': min_calls is 6, more than") as caught:
        CircuitBreaker("x", min_calls=6, window_calls=5)
    assert caught[0].filename == __file__
    for ignore in (OSError("no class"), "OSError", (OSError, 1)):
        with pytest.raises(ValueError, match=r"^ignore is "):
            CircuitBreaker("x", ignore=ignore)  # type: ignore[arg-type]


# Another life
def test_a_breaker_goes_on_in_another_process() -> None:
    """What `dump` returns is plain, and time that passed by the wall clock has passed."""
    it = Guarded()
    trip(it)
    it.clock.now_s += 1.0
    dumped = it.breaker.dump()
    assert dumped["state"] == "open"
    new = Guarded()
    new.clock.now_s += 2.0  # the same wall time as a second after the dump
    new.breaker.restore(dumped)
    with pytest.raises(CircuitOpenError) as caught:
        by_call(new)
    assert caught.value.retry_after_s == pytest.approx(0.5)
    assert new.told == []


def test_a_wall_clock_that_went_back_gives_no_time_back() -> None:
    """Then nothing has passed, as far as anybody can tell."""
    it = Guarded()
    it.clock.now_s += 3600.0
    trip(it)
    new = Guarded()
    new.breaker.restore(it.breaker.dump())
    with pytest.raises(CircuitOpenError) as caught:
        by_call(new)
    assert caught.value.retry_after_s == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"state": "ajar"}, "state is 'ajar': expected one of"),
        ({"reopens": -1}, "reopens is -1: expected"),
        *(
            ({"at": value}, f"at is {value!r}: expected")
            for value in (None, "x", True, nan, 10**12)
        ),
        ({"more": 1}, "not a dump of a circuit breaker: .*'more'"),
        ({"window": [[9, 0, 0]]}, r"window is \[\[9, 0, 0\]\]: expected 10 rows"),
    ],
)
def test_a_damaged_dump_is_refused_and_changes_nothing(damage: dict[str, Any], told: str) -> None:
    """The breaker goes on as it was, and so do the others that were to be restored with it."""
    it = Guarded()
    by_call(it)
    wrong = {**it.breaker.dump(), **damage}
    with pytest.raises(ValueError, match=f"^{told}"):
        it.breaker.restore(wrong)
    assert (it.breaker.state, it.breaker.tally().calls) == (CLOSED, 1)
    registry = BreakerRegistry(clock=it.clock)
    registry.of("sound").force_open()
    sound = registry.of("sound").dump()
    registry.of("sound").reset()
    with pytest.raises(ValueError, match=f"^{told}"):
        registry.restore({"sound": sound, "damaged": wrong})
    assert [(it.name, it.state) for it in registry] == [("sound", CLOSED)]


@pytest.mark.parametrize("dumped", [None, [1], "x", 7])
def test_what_is_no_dump_at_all_is_refused(dumped: Any) -> None:  # noqa: ANN401 - anything
    """By its value, whatever stands in the file."""
    for restore in (CircuitBreaker("x").restore, BreakerRegistry().restore):
        with pytest.raises(ValueError, match=r"^dumped is .*: expected a Mapping"):
            restore(dumped)
    with pytest.raises(ValueError, match="not a dump of a circuit breaker: 'state'"):
        CircuitBreaker("x").restore({"at": 0.0})


# By key
def test_a_finaliser_may_ask_for_the_breaker_that_is_being_made() -> None:
    """The collector may run one at any allocation, also under the lock: all get the same one."""
    made: list[CircuitBreaker] = []

    class AskingClock(FakeClock):
        asks = False

        def monotonic_s(self) -> float:
            if self.asks:
                self.asks = False
                made.append(registry.of("api"))
            return super().monotonic_s()

    clock = AskingClock()
    registry = BreakerRegistry(clock=clock)
    clock.asks = True
    thread = threading.Thread(target=lambda: made.append(registry.of("api")), daemon=True)
    thread.start()
    thread.join(PATIENT_S)
    inner, outer = made
    assert inner is outer is registry.of("api")


def test_a_registry_has_one_breaker_a_key() -> None:
    """Always the same one, with the same rules and a name of its own."""
    clock = FakeClock()
    registry = BreakerRegistry(clock=clock, consecutive_failures=1, open_s=7.0)
    told: list[str] = []
    one = registry.of("10.0.0.1")
    registry.on_transition(lambda it: told.append(it.name))
    two = registry.of("10.0.0.2")
    assert registry.of("10.0.0.1") is one
    assert (one.name, two.policy.open_s) == ("10.0.0.1", 7.0)
    one.force_open()
    two.force_open()
    assert told == ["10.0.0.1", "10.0.0.2"]
    assert [*registry] == [one, two]
    registry.discard("10.0.0.1")
    registry.discard("10.0.0.3")
    assert registry.of("10.0.0.1") is not one


def test_a_registry_gives_no_breaker_away_before_its_listeners_hear_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread that asks for the same key at this moment could open it unheard."""
    registry = BreakerRegistry(clock=FakeClock())
    registry.on_transition(list[Transition]().append)
    given_away: list[list[CircuitBreaker]] = []

    def hear(_breaker: CircuitBreaker, _listener: object) -> None:
        given_away.append([*registry._breakers.values()])

    monkeypatch.setattr(CircuitBreaker, "on_transition", hear)
    registry.of("10.0.0.1")
    assert given_away == [[]]


def test_a_registry_is_dumped_and_restored_by_key() -> None:
    """Open hosts stay open, and only those that were asked for exist."""
    old = BreakerRegistry(clock=FakeClock())
    old.of("bad").force_open()
    old.of("good")
    new = BreakerRegistry(clock=FakeClock())
    new.restore(old.dump())
    assert {it.name: it.state for it in new} == {"bad": FORCED_OPEN, "good": CLOSED}


def test_a_registry_refuses_bad_rules_at_once() -> None:
    """Not only when the first key is asked for."""
    with pytest.raises(ValueError, match="open_s is -1"):
        BreakerRegistry(open_s=-1)
    with pytest.warns(UserWarning, match="min_calls is 6"):
        BreakerRegistry(min_calls=6, window_calls=5)
