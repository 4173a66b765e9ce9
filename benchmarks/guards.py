"""What a circuit breaker costs a call, and what it does where breakers go wrong; and the peers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.breaker_trials import CALLERS, OPEN_S, TRIALS, findings
from benchmarks.breakers import FAILURES, PEERS, Contender, Made, contenders, with_window
from benchmarks.figures import Figure, Subject, Table, Tell
from stream_manager.errors import CircuitOpenError
from stream_manager.supervision import CircuitBreaker

BATCH = 1000
SYNC_NS, ASYNC_NS, REJECTION_NS = 450.0, 700.0, 1200.0
LONG_S = 3600.0

Sample = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One thing to time: `sample` returns nanoseconds a call, as the mean of a batch."""

    name: str
    sample: Sample
    at_most: float | None = None


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Time each breaker in turn, many times over, and put each through the same experiments."""
    found = contenders()
    missing = sorted(set(PEERS) - {it.name for it in found})
    with asyncio.Runner() as runner:
        costs = _costs(found, runner)
        rounds = 30 if quick else 300
        samples: dict[str, list[float]] = {cost.name: [] for cost in costs}
        for nth in range(rounds):
            if nth % 10 == 0:
                tell(f"guards: round {nth} of {rounds}")
            for cost in costs:  # in turn, so that all have the same company on the machine
                samples[cost.name].append(cost.sample())
    tell("guards: experiments")
    return Subject(
        title="Guards: a circuit breaker's cost, and what breakers do",
        figures=tuple(
            Figure(
                name=cost.name,
                unit="ns",
                samples=tuple(samples[cost.name]),
                median_at_most=cost.at_most,
            )
            for cost in costs
        ),
        notes=(
            f"Each sample is the mean of {BATCH} calls, in processor time of the thread.",
            "Ours counts in a time window of 30 s (50 % of 10 calls); no peer has one.",
            "A rejection is measured with its try and except.",
            f"Experiments: each opens for {OPEN_S * 1000:g} ms after {FAILURES} failures in a row.",
            "They run in tasks, and in threads where a breaker knows no tasks.",
            f"probes: so many of {CALLERS} callers at once get through a half-open breaker.",
            "half failing: whether it opens when every second call fails.",
            "late failures, late success: what calls from before an outage do that end after it.",
            "cancelled is: what cancelled calls are taken for.",
            "open time grows: whether it stays open for longer after three failed probes.",
            *([f"Not installed, so not compared: {', '.join(missing)}."] if missing else []),
        ),
        table=Table(
            rows=(
                ("breaker", *TRIALS),
                *((f"{it.name} {it.version}".strip(), *findings(it)) for it in found),
            )
        ),
    )


# What a call costs
def _costs(found: list[Contender], runner: asyncio.Runner) -> list[Cost]:
    ours, timed = with_window(), with_window(slow_call_s=1.0)
    costs = [
        Cost(name="plain call", sample=_sync(_nothing)),
        Cost(name="plain await", sample=_async(_nothing_async, runner)),
        Cost(name="ours", sample=_sync(ours(_nothing)), at_most=SYNC_NS),
        Cost(name="ours, slow calls too", sample=_sync(timed(_nothing)), at_most=SYNC_NS),
        Cost(name="ours, with", sample=_sync(_inside(ours))),
        Cost(name="ours, call", sample=_sync(lambda: ours.call(_nothing))),
        Cost(name="ours, async", sample=_async(ours(_nothing_async), runner), at_most=ASYNC_NS),
        Cost(
            name="ours, async, slow calls too",
            sample=_async(timed(_nothing_async), runner),
            at_most=ASYNC_NS,
        ),
        Cost(
            name="ours, a rejection",
            sample=_sync(_rejected(_forced_open()(_nothing), CircuitOpenError)),
            at_most=REJECTION_NS,
        ),
    ]
    for it in found[1:]:
        if it.threads is not None:
            costs.append(Cost(name=it.name, sample=_sync(it.threads(LONG_S).guard(_nothing))))
            costs.append(
                Cost(name=f"{it.name}, a rejection", sample=_sync(_opened(it.threads(LONG_S))))
            )
        if it.tasks is not None:
            guarded = it.tasks(LONG_S).guard(_nothing_async)
            costs.append(Cost(name=f"{it.name}, async", sample=_async(guarded, runner)))
        if it.tasks is not None and it.threads is None:
            made = it.tasks(LONG_S)
            rejected = runner.run(_opened_async(made))
            costs.append(
                Cost(name=f"{it.name}, a rejection, async", sample=_async(rejected, runner))
            )
    return costs


def _nothing() -> None:
    pass


async def _nothing_async() -> None:
    pass


def _fail() -> None:
    raise OSError("gone")


async def _fail_async() -> None:
    raise OSError("gone")


def _inside(breaker: CircuitBreaker) -> Callable[[], None]:
    def entered() -> None:
        with breaker:
            pass

    return entered


def _forced_open() -> CircuitBreaker:
    breaker = CircuitBreaker("bench", consecutive_failures=1, open_s=LONG_S, open_cap_s=LONG_S)
    with suppress(OSError):
        breaker.call(_fail)
    return breaker


def _opened(made: Made) -> Callable[[], None]:
    fail = made.guard(_fail)
    for _ in range(FAILURES):
        with suppress(OSError, made.rejection):
            fail()
    return _rejected(fail, made.rejection)


def _rejected(guarded: Callable[[], object], rejection: type[Exception]) -> Callable[[], None]:
    def rejected() -> None:
        try:
            guarded()
        except rejection:
            return
        raise AssertionError("it was to be rejected")

    return rejected


async def _opened_async(made: Made) -> Callable[[], Awaitable[None]]:
    fail = made.guard(_fail_async)
    for _ in range(FAILURES):
        with suppress(OSError, made.rejection):
            await fail()

    async def rejected() -> None:
        try:
            await fail()
        except made.rejection:
            return
        raise AssertionError("it was to be rejected")

    return rejected


def _sync(guarded: Callable[[], object]) -> Sample:
    turns = range(BATCH)

    def sample() -> float:
        began_ns = time.thread_time_ns()
        for _ in turns:
            guarded()
        return (time.thread_time_ns() - began_ns) / BATCH

    return sample


def _async(guarded: Callable[[], Awaitable[object]], runner: asyncio.Runner) -> Sample:
    turns = range(BATCH)

    async def batch() -> float:
        began_ns = time.thread_time_ns()
        for _ in turns:
            await guarded()
        return (time.thread_time_ns() - began_ns) / BATCH

    return lambda: runner.run(batch())
