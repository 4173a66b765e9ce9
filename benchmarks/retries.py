"""What a retry costs where it has nothing to do, and what each library does when it has.

Peers are measured where they are installed. Each is set up by its own best option.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from benchmarks.figures import Figure, Subject, Table, Tell
from benchmarks.report import number
from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff
from stream_manager.supervision import Bulkhead, RetryBudget, retry

AT_MOST_NS = 1000.0
CALLS = 500  # in one sample
BASE_S, CAP_S = 0.1, 5.0
REQUESTS = 1000

TITLES = (
    *("library", "sync", "distinct waits", "waits past the deadline"),
    *("nested calls", "calls under load", "raises", "generator functions"),
)
NUMBERS = frozenset({"distinct waits", "nested calls", "calls under load"})

Decorator = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A library, and how its decorator is made of attempts and a deadline in seconds or None."""

    name: str
    made: Callable[[int, float | None], Decorator]
    sync: bool = True
    has_deadline: bool = True


def ours(attempts: int, deadline_s: float | None) -> Decorator:
    """Return ours."""
    backoff = Backoff(base_s=BASE_S, cap_s=CAP_S, jitter="full")
    return retry(attempts=attempts, backoff=backoff, on=(OSError,), deadline_s=deadline_s)


def tenacity(attempts: int, deadline_s: float | None) -> Decorator:
    """Return tenacity's, with the options that jitter after the cap and stop before a deadline."""
    library: Any = import_module("tenacity")
    stop = library.stop_after_attempt(attempts)
    return library.retry(  # type: ignore[no-any-return]
        stop=stop if deadline_s is None else stop | library.stop_before_delay(deadline_s),
        wait=library.wait_random_exponential(multiplier=BASE_S, max=CAP_S),
        retry=library.retry_if_exception_type(OSError),
        reraise=True,
    )


def stamina(attempts: int, deadline_s: float | None) -> Decorator:
    """Return stamina's."""
    library: Any = import_module("stamina")
    library.instrumentation.set_on_retry_hooks(())  # it would log thousands of lines
    return library.retry(  # type: ignore[no-any-return]
        on=OSError, attempts=attempts, timeout=deadline_s, wait_initial=BASE_S, wait_max=CAP_S
    )


def backoff(attempts: int, deadline_s: float | None) -> Decorator:
    """Return backoff's."""
    library: Any = import_module("backoff")
    return library.on_exception(  # type: ignore[no-any-return]
        library.expo,
        OSError,
        max_tries=attempts,
        max_time=deadline_s,
        factor=BASE_S,
        max_value=CAP_S,
        logger=None,
    )


def hyx(attempts: int, _: float | None) -> Decorator:
    """Return hyx's, which has no deadline."""
    library: Any = import_module("hyx.retry")
    waits = import_module("hyx.retry.backoffs")
    jitters: Any = import_module("hyx.retry.jitters")
    expo = waits.expo(min_delay_secs=BASE_S, max_delay_secs=CAP_S, jitter=jitters.full)
    return library.retry(on=OSError, attempts=attempts, backoff=expo)  # type: ignore[no-any-return]


PEERS = (
    Contender(name="tenacity", made=tenacity),
    Contender(name="stamina", made=stamina),
    Contender(name="backoff", made=backoff),
    Contender(name="hyx", made=hyx, sync=False, has_deadline=False),
)
OURS = Contender(name="stream-manager", made=ours)


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Time calls that succeed at once; then let each library meet what it is there for."""
    peers = [peer for peer in PEERS if find_spec(peer.name) is not None]
    missing = [peer.name for peer in PEERS if peer not in peers]
    tell("retries: timing calls that succeed at once")
    figures = asyncio.run(_timed((*_guards(), *_rivals(peers)), 30 if quick else 300))
    tell("retries: letting each fail")
    rows = [_behaviour(contender) for contender in (OURS, *peers)]
    notes = [
        f"A sample is the mean CPU time of {CALLS} calls; one of each is taken in turn.",
        "Each peer is set up by its own best options.",
        "Distinct waits: of 100 at the cap; 1 means that all clients come back together.",
        "Waits past the deadline: whether a wait was longer than the deadline of 0.2 s.",
        "Nested calls: made by two layers of 3 attempts around one function.",
        f"Calls under load: of {REQUESTS} that all fail, 3 attempts each; ours with a RetryBudget.",
        "Raises: what the caller gets in the end, where the function raised OSError.",
    ]
    if missing:
        notes.append(f"Not installed here: {', '.join(missing)}.")
    return Subject(
        title="Retry: the cost of a call that succeeds, and what is done for those that fail",
        figures=figures,
        notes=tuple(notes),
        table=Table(rows=(TITLES, *rows), right=NUMBERS),
    )


def _plain() -> int:
    return 1


async def _plain_async() -> int:
    return 1


def _with_budget(attempts: int) -> Decorator:
    return retry(attempts=attempts, on=(OSError,), budget=RetryBudget("bench"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    """A function to time, and the most that its median may be."""

    name: str
    function: Callable[[], Any]
    at_most_ns: float | None = None


def _guards() -> Iterator[_Timing]:
    once, in_time, paid, bulkhead = ours(5, None), ours(5, 5.0), _with_budget(5), Bulkhead("bench")
    yield _Timing(name="plain call", function=_plain)
    yield _Timing(name="retry", function=once(_plain), at_most_ns=AT_MOST_NS)
    yield _Timing(name="retry, deadline", function=in_time(_plain), at_most_ns=AT_MOST_NS)
    yield _Timing(name="retry, budget", function=paid(_plain))
    yield _Timing(name="bulkhead", function=bulkhead(_plain))
    yield _Timing(name="plain await", function=_plain_async)
    yield _Timing(name="retry, async", function=once(_plain_async))
    yield _Timing(name="retry, budget, async", function=paid(_plain_async))
    yield _Timing(name="bulkhead, async", function=bulkhead(_plain_async))


def _rivals(peers: Iterable[Contender]) -> Iterator[_Timing]:
    for peer in peers:
        if peer.sync:
            yield _Timing(name=peer.name, function=peer.made(5, None)(_plain))
        yield _Timing(name=f"{peer.name}, async", function=peer.made(5, None)(_plain_async))


async def _timed(timings: Sequence[_Timing], rounds: int) -> tuple[Figure, ...]:
    """Time one sample of each in turn, so that a busy moment of the machine meets all alike."""
    taken: dict[str, list[float]] = {timing.name: [] for timing in timings}
    for _ in range(rounds):
        for timing in timings:
            spent_ns = await _sample_ns(timing.function)
            taken[timing.name].append(spent_ns / CALLS)
    return tuple(
        Figure(name=it.name, unit="ns", samples=tuple(taken[it.name]), median_at_most=it.at_most_ns)
        for it in timings
    )


async def _sample_ns(function: Callable[[], Any]) -> int:
    began_ns = time.thread_time_ns()
    if inspect.iscoroutinefunction(function):
        for _ in range(CALLS):
            await function()
    else:
        for _ in range(CALLS):
            function()
    return time.thread_time_ns() - began_ns


class _Failing:
    """A function that always fails, and counts its calls and the waits between them."""

    def __init__(self, contender: Contender) -> None:
        self._sync = contender.sync
        self.calls = 0
        self.raised = ""
        self.waits_s: list[float] = []

    def run(self, *layers: Decorator, times: int = 1) -> None:
        """Call it inside these layers, with waits that take no time."""
        guarded: Any = self._fail if self._sync else self._fail_async
        for layer in layers:
            guarded = layer(guarded)
        real_sleep = asyncio.sleep

        async def sleep(delay_s: float, *_: object) -> None:
            self.waits_s.append(delay_s)
            await real_sleep(0)

        with patch("time.sleep", self.waits_s.append), patch("asyncio.sleep", sleep):
            for _ in range(times):
                try:
                    _finish(guarded())
                except Exception as error:  # noqa: BLE001 - some raise their own in its place
                    self.raised = type(error).__name__

    def _fail(self) -> None:
        self.calls += 1
        raise OSError

    async def _fail_async(self) -> None:
        self._fail()


def _finish(result: object) -> None:
    if isinstance(result, Awaitable):
        asyncio.run(_awaited(result))


async def _awaited(result: Awaitable[object]) -> None:
    await result


def _behaviour(contender: Contender) -> tuple[str, ...]:
    calls, raised = _loaded(contender)
    return (
        contender.name,
        "yes" if contender.sync else "no",
        str(_distinct_waits(contender)),
        _past_the_deadline(contender),
        str(_layered(contender)),
        number(calls),
        raised,
        _generators(contender),
    )


def _distinct_waits(contender: Contender) -> int:
    failing = _Failing(contender)
    last_s = set()
    for _ in range(100):
        failing.run(contender.made(12, None))
        last_s.add(round(failing.waits_s[-1], 6))
    return len(last_s)


def _past_the_deadline(contender: Contender) -> str:
    if not contender.has_deadline:
        return "has none"
    failing = _Failing(contender)
    for _ in range(20):
        failing.run(contender.made(12, 0.2))
    return "yes" if max(failing.waits_s, default=0.0) > 0.2 else "no"


def _layered(contender: Contender) -> int:
    failing = _Failing(contender)
    failing.run(contender.made(3, None), contender.made(3, None))
    return failing.calls


def _loaded(contender: Contender) -> tuple[int, str]:
    failing = _Failing(contender)
    decorator = _with_budget(3) if contender is OURS else contender.made(3, None)
    failing.run(decorator, times=REQUESTS)
    return failing.calls, failing.raised


def _generators(contender: Contender) -> str:
    """Tell whether a function is taken whose body runs only after the call has returned."""

    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    try:
        contender.made(3, None)(generator if contender.sync else async_generator)
    except (TypeError, UsageError):
        return "refused"
    return "taken"
