"""The library as its users write it; `mypy --strict` reads it, nobody runs it."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

from stream_manager import (
    AsyncFunction,
    Backoff,
    Budget,
    Cause,
    Component,
    Fault,
    FaultClass,
    Phase,
    RecoveryPolicy,
    RestartType,
    Rule,
    Run,
    Snapshot,
    Snapshots,
    Status,
    Strategy,
    Subprocess,
    Supervisor,
    ThreadFunction,
    When,
)
from stream_manager.store import Store
from stream_manager.testing import FakeClock, FakeComponent, FaultScript


async def ingest() -> None:
    """Take nothing."""


async def resumable(run: Run) -> int:
    """Take the run, and return something."""
    position: int = 0 if run.snapshot is None else run.snapshot["position"]
    run.progress()
    run.save({"position": position + 1})
    run.report(Fault(origin="broker", code="lag"))
    run.report(OSError())
    run.finish()
    return position


def blocking(stop: threading.Event) -> None:
    """Take the event."""
    stop.wait()


def reporting(stop: threading.Event, run: Run) -> None:
    """Take the run too."""
    while not stop.wait(1.0):
        run.progress()


class Pipeline:
    """A user's own component: nothing of ours is inherited."""

    async def start(self, run: Run) -> None:
        """Start."""
        run.create_task(ingest())

    async def teardown(self) -> None:
        """End."""

    def snapshot(self) -> Mapping[str, Any] | None:
        """Return what to go on from."""
        return {"position": 7}


class NoComponent:
    """Something that can be started, and no more."""

    async def start(self) -> None:
        """Start."""


async def use() -> None:
    """Use all of it."""
    policy = RecoveryPolicy(
        backoff=Backoff(base_s=0.1, cap_s=5.0, jitter="full"),
        budget=Budget(restarts=5, within_s=60.0),
    )
    async with Supervisor() as supervisor:
        assert_type(supervisor, Supervisor)
        await supervisor.add("ingest", ingest, policy=policy, depends_on=["host:10.0.0.5"])
        await supervisor.add("resumable", resumable, needs=["ingest"], parent="ingest")
        await supervisor.add("pipeline", Pipeline(), stall_after_s=5.0)
        await supervisor.add("function", AsyncFunction(ingest))
        await supervisor.add("blocking", ThreadFunction(blocking))
        await supervisor.add("reporting", ThreadFunction(reporting))
        await supervisor.add("program", Subprocess(["sleep", "600"], log=Path("sleep.log")))
        await supervisor.group("outer", policy=policy)
        await supervisor.group("crew", strategy=Strategy.ONE_FOR_ALL, parent="outer")
        await supervisor.add("job", ingest, parent="crew", restart=RestartType.TRANSIENT)
        await supervisor.group("wrong", strategy="one_for_all")  # type: ignore[arg-type]
        await supervisor.add("again", ingest, restart="never")  # type: ignore[arg-type]
        assert_type(supervisor.status("job").finished, bool)
        await supervisor.add("nothing", NoComponent())  # type: ignore[arg-type]
        await supervisor.add("called", ingest())  # type: ignore[arg-type]
        await supervisor.add("sync", blocking)  # type: ignore[arg-type]
        assert_type(await supervisor.wait_until("ingest", Phase.RUNNING), Phase)
        assert_type(supervisor.status("ingest"), Status)
        assert_type(supervisor.explain("ingest"), list[str])
    down = Rule(
        name="api-down",
        cause=Cause.NETWORK,
        fault_class=FaultClass.RECOVERABLE,
        codes={"client.DownError"},
        when=When.CALM,
        charged=False,
    )
    assert_type(Supervisor(rules=[down]), Supervisor)
    Supervisor(rules=down)  # type: ignore[arg-type]
    Rule(name="it", cause="network", fault_class=FaultClass.FATAL)  # type: ignore[arg-type]
    RecoveryPolicy(backoff=1.0)  # type: ignore[arg-type]
    Backoff(base_s=0.1, jitter="some")  # type: ignore[arg-type]


def parts(component: Component, snapshot: Snapshot) -> FaultClass:
    """Use the types as types."""
    assert_type(component.snapshot(), Snapshot | None)
    assert_type(snapshot["position"], Any)
    return FaultClass.TRANSIENT


def own_store(store: Store) -> Snapshots:
    """Keep snapshots where streams keep theirs."""
    return store


async def own_tests() -> None:
    """Use what tests need."""
    clock, component = FakeClock(), FakeComponent()
    async with Supervisor(clock=clock) as supervisor:
        await supervisor.add("it", component)
        assert_type(await clock.until(supervisor.wait_until("it", Phase.RUNNING)), Phase)
        await FaultScript((1.0, component, OSError())).play(clock)
