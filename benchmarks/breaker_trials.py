"""What breakers do where breakers go wrong: the same experiments with each, on real clocks."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.breakers import FAILURES, Contender, Made

OPEN_S = 0.1
CALLERS = 50
# No breaker here needs as many successes to close.
ENOUGH = 10
# Long enough for every task and thread to begin, or to show that it can't.
BEGIN_S = 0.03
PATIENCE_S = 3.0


class Call:
    """A guarded call under way: it ends when told to, and as told."""

    def __init__(self) -> None:
        self.begun = False
        self.error: Exception | None = None
        self.task: asyncio.Task[None]
        self._ended = threading.Event()
        self._ended_async = asyncio.Event()

    def work(self) -> None:
        """Be what is guarded, in a thread."""
        self.begun = True
        self._ended.wait()
        if self.error is not None:
            raise self.error

    async def work_async(self) -> None:
        """Be what is guarded, in a task."""
        self.begun = True
        await self._ended_async.wait()
        if self.error is not None:
            raise self.error

    async def end(self, error: Exception | None = None) -> None:
        """End it, and wait until its caller has the result."""
        self.error = error
        self.let_go()
        await asyncio.wait([self.task])

    def let_go(self) -> None:
        """End it, and wait for nothing."""
        self._ended.set()
        self._ended_async.set()


@dataclass(slots=True)
class Bench:
    """One breaker, made anew, with its calls."""

    made: Made
    in_threads: bool
    calls: list[Call]

    async def begin(self) -> Call:
        """Begin a call and give it time to get through, or not."""
        call = self.begin_now()
        await asyncio.sleep(BEGIN_S)
        return call

    def begin_now(self) -> Call:
        """Begin a call."""
        call = Call()
        self.calls.append(call)
        if self.in_threads:
            call.task = asyncio.create_task(asyncio.to_thread(self._in_thread, call))
        else:
            call.task = asyncio.create_task(self._in_task(call))
        return call

    # Functions, for not every breaker guards methods.
    def _in_thread(self, call: Call) -> None:
        @self.made.guard
        def work() -> None:
            call.work()

        work()

    async def _in_task(self, call: Call) -> None:
        @self.made.guard
        async def work() -> None:
            await call.work_async()

        await work()

    async def fail(self, times: int = FAILURES) -> None:
        """Make calls that fail one after the other."""
        for _ in range(times):
            await (await self.begin()).end(OSError("gone"))

    async def succeed(self, times: int = ENOUGH) -> None:
        """Make calls that succeed one after the other."""
        for _ in range(times):
            await (await self.begin()).end()

    async def until_half_open(self) -> None:
        """Open it, and wait until the next call is a probe."""
        await self.fail()
        await asyncio.sleep(OPEN_S * 1.1)


async def probes(bench: Bench) -> str:
    """Tell how many of many callers at once get through a half-open breaker."""
    await bench.until_half_open()
    calls = [bench.begin_now() for _ in range(CALLERS)]
    await asyncio.sleep(BEGIN_S * 5)
    through = sum(call.begun for call in calls)
    waiting = sum(not call.begun and not call.task.done() for call in calls)
    return f"{through}, {waiting} wait" if waiting else str(through)


async def late_failures(bench: Bench) -> str:
    """Tell whether calls from before an outage, which fail after it, open it again."""
    before = [await bench.begin() for _ in range(FAILURES)]
    if not all(call.begun for call in before):
        return "one call at a time"
    await bench.until_half_open()
    await bench.succeed()
    for call in before:
        await call.end(OSError("gone"))
    return "no" if bench.made.closed() else "opens"


async def late_success(bench: Bench) -> str:
    """Tell whether calls from before an outage, which succeed while half-open, close it."""
    before = [await bench.begin() for _ in range(ENOUGH)]
    if not all(call.begun for call in before):
        return "one call at a time"
    await bench.until_half_open()
    await bench.begin()
    for call in before:
        await call.end()
    return "closes" if bench.made.closed() else "no"


async def cancelled(bench: Bench) -> str:
    """Tell what a breaker takes cancelled calls for."""
    if bench.in_threads:
        return "-"
    for _ in range(FAILURES):
        await cancel(await bench.begin())
    if not (await bench.begin()).begun:
        return "failure"
    await bench.until_half_open()
    for _ in range(ENOUGH):
        await cancel(await bench.begin())
    return "success" if bench.made.closed() else "nothing"


async def cancel(call: Call) -> None:
    """Cancel a call that may have been rejected."""
    call.task.cancel()
    await asyncio.wait([call.task])


async def half_failing(bench: Bench) -> str:
    """Tell whether it opens when every second call fails."""
    for _ in range(15):
        await bench.fail(1)
        await bench.succeed(1)
    return "no" if bench.made.closed() else "opens"


async def grows(bench: Bench) -> str:
    """Tell whether it stays open for longer, the longer nothing comes back."""
    await bench.until_half_open()
    for _ in range(3):
        probe = await bench.begin()
        while not probe.begun:  # ours is open for longer by then
            await asyncio.sleep(OPEN_S / 10)
            probe = await bench.begin()
        await probe.end(OSError("gone"))
    await asyncio.sleep(OPEN_S * 1.5)
    return "no" if (await bench.begin()).begun else "yes"


Trial = Callable[[Bench], Awaitable[str]]
TRIALS: dict[str, Trial] = {
    "probes": probes,
    "half failing": half_failing,
    "late failures": late_failures,
    "late success": late_success,
    "cancelled is": cancelled,
    "open time grows": grows,
}


def findings(it: Contender) -> tuple[str, ...]:
    """Put a breaker through all trials, each with a new one; in tasks where it knows them."""
    return tuple(asyncio.run(_finding(it, trial)) for trial in TRIALS.values())


async def _finding(it: Contender, trial: Trial) -> str:
    pool = ThreadPoolExecutor(CALLERS + 2 * ENOUGH)
    asyncio.get_running_loop().set_default_executor(pool)
    make = it.tasks or it.threads
    assert make is not None
    bench = Bench(make(OPEN_S), in_threads=it.tasks is None, calls=[])
    try:
        return await asyncio.wait_for(trial(bench), PATIENCE_S)
    except TimeoutError:
        return "hangs"
    finally:
        for call in bench.calls:
            call.let_go()
        with suppress(TimeoutError):
            tasks = [call.task for call in bench.calls]
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE_S)
