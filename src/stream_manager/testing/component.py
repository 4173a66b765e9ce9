"""A component that does what a test says, and faults that come at their instants."""

import asyncio
from collections.abc import Iterator, Sequence
from enum import Enum

from stream_manager.errors import UsageError
from stream_manager.recovery import Fault
from stream_manager.supervision import Run, Snapshot
from stream_manager.testing.clock import FakeClock


class Act(Enum):
    """What a call of a `FakeComponent` does; an exception in its place is raised."""

    WORK = "work"  # return at once
    HANG = "hang"  # never return, but for a cancellation
    RESIST = "resist"  # never return, not even then


class FakeComponent:
    """Component: `starts` and `teardowns` say what each call does, in order; then all work.

    told: what was done to it, like "start 1", "teardown 1". runs: its runs, the newest last.
    memory: what `snapshot` returns; by default nothing.
    """

    def __init__(
        self,
        *,
        starts: Sequence[Act | Exception] = (),
        teardowns: Sequence[Act | Exception] = (),
        memory: Snapshot | None = None,
    ) -> None:
        self.told: list[str] = []
        self.runs: list[Run] = []
        self.memory = memory
        self._starts = iter(starts)
        self._teardowns = iter(teardowns)

    @property
    def run(self) -> Run:
        """The newest run. Raises UsageError before the first one."""
        if not self.runs:
            raise UsageError("this FakeComponent was never started: add it to a supervisor before")
        return self.runs[-1]

    async def start(self, run: Run) -> None:
        """Start as the script says."""
        self.runs.append(run)
        self.told.append(f"start {run.epoch}")
        await _act(self._starts)

    async def teardown(self) -> None:
        """End as the script says."""
        self.told.append(f"teardown {self.run.epoch}")
        await _act(self._teardowns)

    def snapshot(self) -> Snapshot | None:
        """Return what the next start should go on from."""
        return self.memory


async def _act(script: Iterator[Act | Exception]) -> None:
    act = next(script, Act.WORK)
    if isinstance(act, Exception):
        raise act
    while act is not Act.WORK:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if act is Act.HANG:
                raise


class FaultScript:
    """Faults that come at their instants: `FaultScript((2.0, ingest, fault), (2.5, other, fault))`.

    Instants are seconds from where `play` begins. A fault of a component that does not run then
    changes nothing, as in life; one that was never started is a mistake of the test.
    """

    def __init__(self, *faults: tuple[float, FakeComponent, Fault | Exception]) -> None:
        self._faults = sorted(faults, key=lambda it: it[0])
        if self._faults and self._faults[0][0] < 0:
            raise ValueError(f"a fault comes at {self._faults[0][0]} s: expected 0 or later")

    async def play(self, clock: FakeClock) -> None:
        """Move the clock from fault to fault, and let everybody react to the last one.

        Raises UsageError at the fault of a component that was never started.
        """
        began_s = clock.now_s
        for at_s, component, fault in self._faults:
            await clock.advance(began_s + at_s - clock.now_s)
            try:
                run = component.run
            except UsageError as error:
                error.add_note(f"the fault that came to it at {at_s:g} s is {fault!r}")
                raise
            run.report(fault)
        await clock.advance(0.0)
