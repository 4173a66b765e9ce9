"""One component's runs: proof, stalls, snapshots, and bounded ends for whatever goes wrong."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine

import pytest

from stream_manager.recovery import (
    Event,
    Failed,
    Gone,
    Proved,
    RecoveryPolicy,
    Start,
    Started,
    Stop,
)
from stream_manager.supervision import MemorySnapshots, Run, Snapshot
from stream_manager.supervision.component import Component
from stream_manager.supervision.components.door import as_component
from stream_manager.supervision.runner import SET_ASIDE, Runner
from stream_manager.testing import Act, FakeClock, FakeComponent, settle

POLICY = RecoveryPolicy(verify_for_s=1.0, teardown_s=2.0)


class Stage:
    """A runner whose supervisor is the test: `told` is what it was told, in words."""

    def __init__(self, component: Component, *, stall_after_s: float | None = None) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.snapshots = MemorySnapshots()
        self.runner = Runner(
            "it",
            component,
            policy=POLICY,
            stall_after_s=stall_after_s,
            snapshots=self.snapshots,
            clock=self.clock,
            post=self.events.append,
        )

    async def start(self, epoch: int = 1, *, restore: bool = True) -> None:
        """Order a start and let it happen."""
        self.runner.begin(Start(id="it", epoch=epoch, restore=restore, deadline_s=15.0))
        await settle()

    async def stop(self, epoch: int = 1) -> None:
        """Order a teardown and let it happen."""
        self.runner.begin(Stop(id="it", epoch=epoch, grace_s=POLICY.teardown_s))
        await settle()

    def told(self) -> list[str]:
        """Return and forget what was told: "started 1", "failed 1 stall", ..."""
        words = []
        for event in self.events:
            assert isinstance(event, Started | Proved | Failed | Gone)
            code = f" {event.fault.code}" if isinstance(event, Failed) else ""
            words.append(f"{type(event).__name__.lower()} {event.epoch}{code}")
        self.events.clear()
        return words


Scene = Callable[[], Coroutine[None, None, None]]


def played(scene: Scene) -> None:
    """Play a scene; whatever is left of its tasks is ended with it."""
    asyncio.run(scene())


def test_being_alive_proves_what_reports_no_progress() -> None:
    """After `verify_for_s` since the start has returned."""

    async def scene() -> None:
        stage = Stage(FakeComponent())
        await stage.start()
        assert stage.told() == ["started 1"]
        await stage.clock.advance(0.9)
        assert stage.told() == []
        await stage.clock.advance(0.1)
        assert stage.told() == ["proved 1"]

    played(scene)


def test_progress_is_a_better_proof_than_being_alive() -> None:
    """Who has reported some is proven by more of it, over `verify_for_s`, and once."""

    async def scene() -> None:
        component = FakeComponent()
        stage = Stage(component)
        await stage.start()
        component.run.progress()
        await stage.clock.advance(5.0)
        assert stage.told() == ["started 1"]
        component.run.progress()
        component.run.progress()
        assert stage.told() == ["proved 1"]

    played(scene)


def test_progress_during_a_start_proves_when_the_start_is_done() -> None:
    """A component that works before `start` returns is not made to wait again."""

    class Slow(FakeComponent):
        async def start(self, run: Run) -> None:
            run.progress()
            await run.clock.sleep(2.0)
            run.progress()

    async def scene() -> None:
        stage = Stage(Slow())
        await stage.start()
        await stage.clock.advance(2.0)
        assert stage.told() == ["started 1", "proved 1"]

    played(scene)


def test_promised_progress_is_the_only_proof_and_its_end_a_stall() -> None:
    """With `stall_after_s` a silent component is not proven, and one that falls silent fails."""

    async def scene() -> None:
        component = FakeComponent()
        stage = Stage(component, stall_after_s=3.0)
        await stage.start()
        await stage.clock.advance(10.0)
        assert stage.told() == ["started 1"]
        for _ in range(5):
            component.run.progress()
            await stage.clock.advance(1.0)
        assert stage.told() == ["proved 1"]
        await stage.clock.advance(1.9)
        assert stage.told() == []
        await stage.clock.advance(0.2)
        assert stage.told() == ["failed 1 stall"]

    played(scene)


def test_a_loop_that_was_late_itself_excuses_as_much_silence() -> None:
    """Who could not listen does not accuse."""

    async def scene() -> None:
        component = FakeComponent()
        stage = Stage(component, stall_after_s=3.0)
        await stage.start()
        component.run.progress()
        await stage.clock.advance(1.0)
        component.run.progress()
        await settle()
        stage.told()
        stage.clock.now_s += 10.0  # the loop did nothing else for so long
        await stage.clock.advance(0.0)
        assert stage.told() == []
        component.run.progress()
        await stage.clock.advance(2.9)
        assert stage.told() == []

    played(scene)


def test_a_start_that_raises_is_a_fault_and_is_torn_down() -> None:
    """What it left halfway is the component's to end."""

    async def scene() -> None:
        component = FakeComponent(starts=[ValueError("no")])
        stage = Stage(component)
        await stage.start()
        assert stage.told() == ["failed 1 ValueError"]
        await stage.stop()
        assert stage.told() == ["gone 1"]
        assert component.told == ["start 1", "teardown 1"]

    played(scene)


@pytest.mark.parametrize("act", [Act.HANG, Act.RESIST])
def test_a_start_that_never_returns_is_cancelled_by_its_teardown(act: Act) -> None:
    """Also one that swallows the cancellation: it is closed after `teardown_s`."""

    async def scene() -> None:
        component = FakeComponent(starts=[act])
        stage = Stage(component)
        await stage.start()
        await stage.stop()
        if act is Act.RESIST:
            assert stage.told() == []
            await stage.clock.advance(POLICY.teardown_s)
        assert stage.told() == ["gone 1"]
        assert component.told == ["start 1", "teardown 1"]

    played(scene)


def test_a_teardown_that_raises_is_told_and_over(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing more can come of it, so the next run need not wait."""

    async def scene() -> None:
        stage = Stage(FakeComponent(teardowns=[ValueError("no")]))
        await stage.start()
        await stage.stop()
        assert stage.told() == ["started 1", "gone 1"]

    played(scene)
    assert "the teardown of run 1 broke off" in caplog.text


def test_a_teardown_that_hangs_is_never_said_to_be_gone() -> None:
    """The core's own timer abandons it; a new run starts, and the old one's word is its epoch's."""

    async def scene() -> None:
        component = FakeComponent(teardowns=[Act.HANG])
        stage = Stage(component)
        await stage.start()
        old = component.run
        await stage.stop()
        await stage.clock.advance(2 * POLICY.teardown_s)
        await stage.start(2)
        old.report(ValueError("late"))
        assert stage.told() == ["started 1", "started 2", "failed 1 ValueError"]
        old.save({"position": 9})
        assert stage.snapshots.load_snapshot("it") is None

    played(scene)


def test_a_task_of_the_run_that_fails_is_a_fault_of_the_component() -> None:
    """Also one that was cancelled by somebody else; a return is none."""

    class WithTasks(FakeComponent):
        async def start(self, run: Run) -> None:
            await super().start(run)
            self.tasks = [run.create_task(it()) for it in (_returns, _raises, _waits, _waits)]

    async def scene() -> None:
        component = WithTasks()
        stage = Stage(component)
        await stage.start()
        assert sorted(stage.told()) == ["failed 1 KeyError", "started 1"]
        component.tasks[2].cancel()
        await settle()
        assert stage.told() == ["failed 1 asyncio.exceptions.CancelledError"]
        await stage.stop()
        assert stage.told() == ["gone 1"]
        assert component.tasks[3].cancelled()

    played(scene)


async def _returns() -> None: ...


async def _raises() -> None:
    raise KeyError("topic")


async def _waits() -> None:
    await asyncio.get_running_loop().create_future()


async def _exits(_: Run) -> None:
    raise SystemExit(3)


class Exits(FakeComponent):
    """A component whose start asks the program to end."""

    async def start(self, run: Run) -> None:
        """Raise what sys.exit raises."""
        await _exits(run)


@pytest.mark.parametrize("component", [Exits(), as_component(_exits)])
def test_an_exit_ends_a_component_and_not_the_program(component: Component) -> None:
    """One of many must not take the others along."""

    async def scene() -> None:
        stage = Stage(component)
        await stage.start()
        assert stage.told()[-1] == "failed 1 SystemExit"

    played(scene)


def test_the_next_start_goes_on_from_the_snapshot_of_a_proven_run() -> None:
    """It is taken before the teardown; a run that proved nothing leaves the last one."""

    async def scene() -> None:
        component = FakeComponent(memory={"position": 7})
        stage = Stage(component)
        await stage.start()
        await stage.stop()
        assert stage.snapshots.load_snapshot("it") is None
        await stage.start(2)
        await stage.clock.advance(1.0)
        component.memory = {"position": 8}
        await stage.stop(2)
        await stage.start(3)
        assert component.run.snapshot == {"position": 8}
        await stage.clock.advance(1.0)
        component.memory = None
        await stage.stop(3)
        assert stage.snapshots.load_snapshot("it") == {"position": 8}

    played(scene)


def test_a_snapshot_that_starts_fail_with_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    """The core says when; what it held is told, for somebody may miss it."""

    async def scene() -> None:
        component = FakeComponent()
        stage = Stage(component)
        stage.snapshots.save_snapshot("it", {"position": 7})
        await stage.start(restore=False)
        assert component.run.snapshot is None

    with caplog.at_level(logging.WARNING):
        played(scene)
    assert SET_ASIDE in caplog.text
    assert "'position': 7" in caplog.text


class BrokenStore:
    """Snapshots on a disk that fails."""

    def load_snapshot(self, component: str, /) -> Snapshot | None:
        """Fail to read."""
        raise OSError(component)

    def save_snapshot(self, component: str, payload: Snapshot, /) -> None:
        """Fail to write."""
        raise OSError(component, payload)

    def set_aside_snapshot(self, component: str, reason: str, /) -> None:
        """Fail too."""
        raise OSError(component, reason)


class Speechless(FakeComponent):
    """A component that can't say where it is."""

    def snapshot(self) -> Snapshot | None:
        """Raise."""
        raise ValueError("no")


def test_what_fails_around_snapshots_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a broken store nor a component that gives none: both are told."""

    async def scene() -> None:
        for component in (FakeComponent(memory={"position": 1}), Speechless()):
            stage = Stage(component)
            stage.runner._snapshots = BrokenStore()
            await stage.start()
            await stage.clock.advance(1.0)
            await stage.stop()
            assert stage.told() == ["started 1", "proved 1", "gone 1"]

    played(scene)
    assert "can't be read: it starts clean" in caplog.text
    assert "can't be saved" in caplog.text
    assert "gave no snapshot" in caplog.text


def test_a_run_may_be_spoken_for_from_any_thread() -> None:
    """What a thread reports arrives on the loop, in order; after the loop's end it goes nowhere."""
    component = FakeComponent()

    async def scene() -> None:
        stage = Stage(component)
        await stage.start()
        stage.told()
        thread = threading.Thread(target=_speak, args=(component.run,))
        thread.start()
        await asyncio.to_thread(thread.join)
        await settle()
        assert stage.told() == ["failed 1 ValueError"]
        assert stage.snapshots.load_snapshot("it") == {"position": 1}

    played(scene)
    thread = threading.Thread(target=_speak, args=(component.run,))
    thread.start()
    thread.join()


def _speak(run: Run) -> None:
    run.progress()
    run.save({"position": 1})
    run.report(ValueError("from a thread"))
