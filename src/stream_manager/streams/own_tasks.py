"""The manager's own tasks, in the tree in which the streams are: healed, journalled and shown.

A bug in one of them costs it a restart, after a wait that grows, and nobody else anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from stream_manager.clock import Clock
from stream_manager.recovery import Phase, RecoveryPolicy, Spec, Wanted
from stream_manager.streams.views import last_fault, next_attempt_in_s
from stream_manager.supervision import MemorySnapshots, Supervisor
from stream_manager.supervision.components.function import AsyncFunction
from stream_manager.supervision.ending import end
from stream_manager.supervision.runner import Runner

# No stream's id has a colon, so their names in the journal can't be mistaken.
PREFIX = "manager:"
# Whatever becomes of its budget, it is tried again twice a minute.
POLICY = RecoveryPolicy(probe_every_s=30.0, teardown_s=1.5)

log = structlog.get_logger()


def is_own(component: str) -> bool:
    """Tell whether a component is a task of the manager's own."""
    return component.startswith(PREFIX)


class OwnTasks:
    """Runs async functions, each for as long as the manager lives, under `supervisor`."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._runners: dict[str, Runner] = {}

    def add(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work`, now and again after each end of it."""
        id_ = f"{PREFIX}{name}"
        runner = Runner(
            id_,
            AsyncFunction(partial(_told, id_, work)),
            policy=POLICY,
            stall_after_s=None,
            snapshots=MemorySnapshots(),
            clock=self._clock,
            post=self._supervisor.post,
        )
        self._runners[id_] = runner
        self._supervisor.enlist(Spec(id=id_, policy=POLICY, proof="work"), runner)
        self._supervisor.post(Wanted(id=id_, up=True, digest=""))

    async def trouble(self, name: str) -> None:
        """Return when a run of a task has failed."""
        phases = (Phase.TEARING_DOWN, Phase.BACKING_OFF, Phase.FAILED)
        await self._supervisor.wait_until(f"{PREFIX}{name}", *phases)

    def status(self) -> list[dict[str, Any]]:
        """Return `manager.tasks` in `status --json`."""
        now_s = self._clock.monotonic_s()
        records = [self._supervisor.recovery.records[id_] for id_ in self._runners]
        return [
            {
                "id": record.spec.id.removeprefix(PREFIX),
                "state": record.phase.value,
                "restarts_total": record.restarts_total,
                "attempt": record.attempts,
                "next_attempt_in_s": next_attempt_in_s(record, now_s),
                "last_fault": last_fault([record], self._clock),
            }
            for record in records
        ]

    async def end(self) -> None:
        """Stop them all; what does not end in its time is ended for good."""
        for id_ in self._runners:
            self._supervisor.post(Wanted(id=id_, up=False, digest=""))
        stopped = (self._supervisor.wait_until(id_, Phase.STOPPED) for id_ in self._runners)
        await asyncio.gather(*stopped)
        left = [task for runner in self._runners.values() for task in runner.leave()]
        await end(left, self._clock)


async def _told(id_: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do the work; an error is told whole in the log, for the journal has its last line alone."""
    try:
        await work()
    except Exception:
        log.exception("a task of the manager's own broke, the streams go on", task=id_)
        raise
