"""What a supervisor runs: a user's `Component`, the `Run` through which it speaks, its snapshots.

`Performer` is what lies below: whatever takes the core's actions and answers them with events.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, runtime_checkable

from stream_manager.clock import Clock
from stream_manager.recovery import Action, Fault

# What a component goes on from: whatever its `Snapshots` can keep; plain values are best.
Snapshot = Mapping[str, Any]


class Performer(Protocol):
    """What the loop commands. A user's `Component` is made one by a `Runner`."""

    def begin(self, action: Action) -> None:
        """Begin `action` and return at once.

        Start is answered by Started and Proved, or by Failed; Stop always by Gone. Nothing that
        goes wrong may be raised: it is posted as Failed.
        """
        ...


@runtime_checkable
class Component(Protocol):
    """Something with a life: started, torn down, and started again from its last snapshot.

    No method needs to guard itself: what it raises is a fault or is told in the log, and what
    does not return is cancelled when its time is over. A teardown that does not even end then is
    abandoned, and the next start comes on the same object: keep in it nothing that two runs may
    not share.
    """

    async def start(self, run: "Run") -> None:
        """Build it, from `run.snapshot` if there is one; return when it works.

        It is cancelled when it was not proven within the policy's `start_deadline_s`.
        """
        ...

    async def teardown(self) -> None:
        """End all that `start` began, also where that failed halfway.

        It is cancelled and abandoned after twice the policy's `teardown_s`.
        """
        ...

    def snapshot(self) -> Snapshot | None:
        """Return what the next start should go on from; None leaves the last one in place.

        Asked before the teardown of a run that was proven.
        """
        ...


class Snapshots(Protocol):
    """Where snapshots are kept. What it raises is told in the log and costs nobody a start."""

    def load_snapshot(self, component: str, /) -> Snapshot | None:
        """Return the last one saved, or None."""
        ...

    def save_snapshot(self, component: str, payload: Snapshot, /) -> None:
        """Keep it in the place of the one before."""
        ...

    def set_aside_snapshot(self, component: str, reason: str, /) -> None:
        """Take it out of use: starts failed with it."""
        ...


class Run(Protocol):
    """One life of a component, from a start to its teardown; what it says carries its epoch.

    A run is proven when `progress` was reported over at least the policy's `verify_for_s`; one that
    never reports any, when it is alive for as long, unless it promised progress (`stall_after_s`).
    `progress`, `report`, `finish` and `save` may be called from any thread.
    """

    @property
    def id(self) -> str:
        """The component's name."""
        ...

    @property
    def epoch(self) -> int:
        """The number of this run."""
        ...

    @property
    def snapshot(self) -> Snapshot | None:
        """What to go on from, or None."""
        ...

    @property
    def teardown_s(self) -> float:
        """How long a teardown may take before something harsher ends the run."""
        ...

    @property
    def clock(self) -> Clock:
        """The supervisor's clock."""
        ...

    def progress(self) -> None:
        """Say that the work advances, as often as you like: it costs a reading of the clock."""
        ...

    def report(self, fault: Fault | BaseException) -> None:
        """Say that it failed; the supervisor tears it down and decides what follows."""
        ...

    def finish(self) -> None:
        """Say that it has ended by itself, in good order; its restart type tells what follows."""
        ...

    def save(self, snapshot: Snapshot) -> None:
        """Keep what the next start should go on from."""
        ...

    def create_task(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run `work` as a part of this run: what it raises is a fault, and it ends with the run."""
        ...
