"""FakeComponent and FaultScript: what users' own tests are made of does what it is told."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, Fault, Phase, RecoveryPolicy
from stream_manager.supervision import Component, Supervisor
from stream_manager.testing import Act, FakeClock, FakeComponent, FaultScript

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"))
LAG = Fault(origin="broker", code="lag")

Scene = Callable[[Supervisor, FakeClock], Coroutine[None, None, None]]


def supervised(scene: Scene) -> None:
    """Play a scene under a supervisor on a fake clock."""

    async def play() -> None:
        clock = FakeClock()
        async with Supervisor(clock=clock) as supervisor:
            await scene(supervisor, clock)

    asyncio.run(play())


def test_it_is_a_component_that_does_what_its_script_says() -> None:
    """Call by call, and works when the script is over; what was done to it can be read."""
    component: Component = FakeComponent(starts=[ValueError("no"), Act.HANG])
    assert isinstance(component, FakeComponent)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", component, policy=POLICY)
        await clock.until(supervisor.wait_until("it", Phase.RUNNING))

    supervised(scene)
    assert component.told == [
        *("start 1", "teardown 1", "start 2", "teardown 2", "start 3", "teardown 3")
    ]
    assert [run.epoch for run in component.runs] == [1, 2, 3]


def test_faults_come_at_their_instants_whatever_order_they_were_written_in() -> None:
    """Each is seen by its own component, as the exception or the fault that it is."""
    one, other = FakeComponent(), FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        seen: list[tuple[float, str]] = []
        began_s = clock.now_s

        async def watch(id_: str) -> None:
            await supervisor.wait_until(id_, Phase.TEARING_DOWN)
            fault = supervisor.status(id_).last_fault
            assert fault is not None
            seen.append((clock.now_s - began_s, f"{id_} {fault.code}"))

        await supervisor.add("one", one, policy=POLICY)
        await supervisor.add("other", other, policy=POLICY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch("one"))
            tasks.create_task(watch("other"))
            await FaultScript((20.0, other, KeyError("topic")), (10.0, one, LAG)).play(clock)
        assert seen == [(10.0, "one lag"), (20.0, "other KeyError")]

    supervised(scene)


def test_a_fault_of_what_does_not_run_changes_nothing() -> None:
    """The second of two at once finds its component already being torn down."""
    component = FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", component, policy=POLICY)
        await FaultScript((5.0, component, LAG), (5.0, component, ValueError())).play(clock)
        assert supervisor.status("it").attempts == 1
        assert supervisor.status("it").last_fault == LAG

    supervised(scene)


def test_a_fault_before_the_beginning_is_refused() -> None:
    """The message names the instant."""
    with pytest.raises(ValueError, match="comes at -1 s"):
        FaultScript((-1, FakeComponent(), LAG))


def test_a_fault_of_what_was_never_started_is_a_mistake_that_is_named() -> None:
    """It says what to do, and which of the faults it is."""

    async def play() -> None:
        script = FaultScript((1.0, FakeComponent(), LAG))
        with pytest.raises(UsageError, match="never started: add it to a supervisor") as caught:
            await script.play(FakeClock())
        assert "at 1 s" in caught.value.__notes__[0]

    asyncio.run(play())
