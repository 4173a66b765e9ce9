"""The end of a block: everything is torn down, whatever was under way, and who waits is told."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from tests.unit.supervision.scenes import forever, supervised

from stream_manager.clock import chance
from stream_manager.errors import InvariantError, UsageError
from stream_manager.recovery import Phase, RecoveryManager, RecoveryPolicy
from stream_manager.supervision import Run, Supervisor
from stream_manager.supervision.ending import LAST_PATIENCE_S
from stream_manager.testing import Act, FakeClock, FakeComponent, settle

POLICY = RecoveryPolicy(verify_for_s=1.0, teardown_s=2.0)


class Slow:
    """A component whose teardown takes `teardown_s`; `told` is shared, and in words."""

    def __init__(self, name: str, told: list[str], teardown_s: float) -> None:
        self.name = name
        self.told = told
        self.teardown_s = teardown_s
        self.clock: FakeClock | None = None

    async def start(self, run: Run) -> None:
        """Work in a task of the run."""
        assert isinstance(run.clock, FakeClock)
        self.clock = run.clock
        run.create_task(forever())

    async def teardown(self) -> None:
        """Take its time."""
        assert self.clock is not None
        self.told.append(f"{self.name} goes")
        await self.clock.sleep(self.teardown_s)
        self.told.append(f"{self.name} is gone")

    def snapshot(self) -> None:
        """Give none."""


async def _add(supervisor: Supervisor, clock: FakeClock, *components: Slow) -> None:
    for it in components:
        await supervisor.add(it.name, it, policy=POLICY)
        await clock.until(supervisor.wait_until(it.name, Phase.RUNNING))


def test_what_is_just_being_removed_keeps_nothing_else_from_its_end() -> None:
    """Those above it and those below it are torn down, one after the other."""
    told: list[str] = []
    removals: list[asyncio.Task[None]] = []

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await _add(supervisor, clock, *(Slow(name, told, 0.5) for name in "abc"))
        removals.append(asyncio.create_task(supervisor.remove("b")))
        await settle()

    supervised(scene)
    assert told[:2] == ["b goes", "c goes"]
    assert told[-2:] == ["a goes", "a is gone"]
    assert sorted(told[2:4]) == ["b is gone", "c is gone"]
    assert removals[0].exception() is None


def _cancel_everything() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


@pytest.mark.parametrize("from_inside", [True, False])
@pytest.mark.parametrize("in_flight", ["nothing", "a restart", "a removal"])
def test_all_tasks_cancelled_at_once_end_in_whole_teardowns(
    in_flight: str, *, from_inside: bool
) -> None:
    """A signal handler may do this: the loop is dead, and no component is left half alive."""
    told: list[str] = []

    async def block(clock: FakeClock) -> None:
        async with Supervisor(clock=clock) as supervisor:
            await _add(supervisor, clock, *(Slow(name, told, 0.5) for name in "abc"))
            tasks = []
            if in_flight == "a restart":
                await supervisor.restart("b")
            if in_flight == "a removal":
                tasks.append(asyncio.create_task(supervisor.remove("b")))
            await settle()
            if from_inside:
                _cancel_everything()
            else:
                asyncio.get_running_loop().call_soon(_cancel_everything)
            await forever()

    async def run() -> None:
        clock = FakeClock()
        task = asyncio.create_task(block(clock))
        with pytest.raises(asyncio.CancelledError):
            await forever()  # until we are cancelled too
        with pytest.raises(asyncio.CancelledError):
            await clock.until(task)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    begun = [line for line in told if line.endswith("goes")]
    assert sorted(begun) == ["a goes", "b goes", "c goes"]
    cut_off = {"b"} if in_flight != "nothing" else set()
    assert {line.split()[0] for line in told if line.endswith("gone")} == {*"abc"} - cut_off


class Breaking(RecoveryManager):
    """A core that breaks the loop when it is told to."""

    def __init__(self) -> None:
        super().__init__(chance=chance)
        self.broken = False

    def next_due_s(self) -> float | None:
        """Break, or say when the next timer is over."""
        if self.broken:
            raise ZeroDivisionError
        return super().next_due_s()


def _cancelled(_: Supervisor, __: Breaking) -> None:
    (loop,) = (it for it in asyncio.all_tasks() if it.get_name() == "supervisor")
    loop.cancel()


def _broken(supervisor: Supervisor, recovery: Breaking) -> None:
    recovery.broken = True
    supervisor.come_round()


@pytest.mark.parametrize(
    ("end", "words", "cause"),
    [(_cancelled, "was cancelled by somebody", None), (_broken, "loop broke", ZeroDivisionError)],
)
@pytest.mark.parametrize("waits", [True, False])
def test_a_loop_that_ends_by_itself_ends_the_block_with_the_reason(
    end: Callable[[Supervisor, Breaking], None],
    words: str,
    cause: type[Exception] | None,
    *,
    waits: bool,
) -> None:
    """Nothing may look as if it were healed: the body is interrupted, all torn down and told."""
    told: list[str] = []
    waited: list[asyncio.Task[Phase]] = []

    async def block(clock: FakeClock, over: asyncio.Event) -> None:
        recovery = Breaking()
        try:
            async with Supervisor(clock=clock, recovery=recovery) as supervisor:
                await _add(supervisor, clock, Slow("a", told, 0.5), Slow("b", told, 0.5))
                waited.append(asyncio.create_task(supervisor.wait_until("a", Phase.FAILED)))
                await settle()
                end(supervisor, recovery)
                if waits:
                    over.set()
                    await supervisor.wait_until("b", Phase.FAILED)
                over.set()
                await forever()
        finally:
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    async def run() -> None:
        clock, over = FakeClock(), asyncio.Event()
        task = asyncio.create_task(block(clock, over))
        await over.wait()
        with pytest.raises(InvariantError, match=words) as caught:
            await clock.until(task)
        assert cause is None or isinstance(caught.value.__cause__, cause)
        assert isinstance(waited[0].exception(), InvariantError)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert told == ["b goes", "b is gone", "a goes", "a is gone"]


def test_a_body_that_goes_on_after_the_loops_end_can_order_nothing() -> None:
    """Every command says what has happened, in place of waiting for ever."""
    component = FakeComponent()

    async def run() -> None:
        recovery = Breaking()
        async with Supervisor(clock=FakeClock(), recovery=recovery) as supervisor:
            await supervisor.add("it", component)
            _broken(supervisor, recovery)
            with pytest.raises(asyncio.CancelledError):
                await forever()
            orders: list[Callable[[], Coroutine[None, None, object]]] = [
                lambda: supervisor.add("other", forever),
                lambda: supervisor.stop("it"),
                lambda: supervisor.restart("it"),
                lambda: supervisor.remove("it"),
                lambda: supervisor.wait_until("it", Phase.FAILED),
            ]
            for order in orders:
                with pytest.raises(InvariantError, match="loop broke"):
                    await order()

    with pytest.raises(InvariantError, match="loop broke"):
        asyncio.run(run())
    assert component.told == ["start 1", "teardown 1"]


def test_whoever_waits_is_told_that_the_block_was_left() -> None:
    """A phase that nobody can come to any more is not waited for."""

    async def run() -> None:
        async with Supervisor(clock=FakeClock()) as supervisor:
            await supervisor.add("it", forever)
            waits = asyncio.create_task(supervisor.wait_until("it", Phase.FAILED))
            await settle()
        with pytest.raises(UsageError, match="has stopped"):
            await waits
        with pytest.raises(UsageError, match="has stopped"):
            await supervisor.wait_until("it", Phase.FAILED)

    asyncio.run(run())


def test_an_end_that_is_cancelled_is_hasty_and_still_an_end() -> None:
    """Who can't wait for slow teardowns gets away within a second; each of them was called."""
    told: list[str] = []
    clock = FakeClock()

    async def block(leaving: asyncio.Event) -> None:
        async with Supervisor(clock=clock) as supervisor:
            quick = [Slow(name, told, 0.5) for name in "ab"]
            await _add(supervisor, clock, *quick)
            await supervisor.add("hangs", FakeComponent(teardowns=[Act.HANG]), policy=POLICY)
            await _add(supervisor, clock, Slow("c", told, 60.0))
            leaving.set()

    async def run() -> None:
        leaving = asyncio.Event()
        task = asyncio.create_task(block(leaving))
        await leaving.wait()
        await settle()
        assert told == ["c goes"]
        began_s = clock.now_s
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await clock.until(task)
        assert clock.now_s - began_s == LAST_PATIENCE_S
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert told == ["c goes", "a goes", "b goes", "a is gone", "b is gone"]


@pytest.mark.parametrize("part", ["_tear_down", "_teardown"])
def test_a_teardown_that_is_cancelled_before_it_begins_is_called_all_the_same(part: str) -> None:
    """A task that is cancelled before its first step would never run."""
    told: list[str] = []

    def begun() -> list[asyncio.Task[None]]:
        return [it for it in asyncio.all_tasks() if getattr(it.get_coro(), "__name__", "") == part]

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await _add(supervisor, clock, Slow("a", told, 0.5))
        restart = asyncio.create_task(supervisor.restart("a"))
        for _ in range(20):  # turns of the event loop
            await asyncio.sleep(0)
            if tasks := begun():
                break
        assert told == []
        tasks[0].cancel()
        await restart
        await clock.until(supervisor.wait_until("a", Phase.TEARING_DOWN))
        await clock.until(supervisor.wait_until("a", Phase.RUNNING))

    supervised(scene)
    assert told == ["a goes", "a is gone"] * 2


def test_what_a_removed_component_left_ends_with_the_block_at_the_latest() -> None:
    """Also where whoever removed it was cancelled before that was seen to."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", FakeComponent(teardowns=[Act.RESIST]), policy=POLICY)
        await clock.until(supervisor.wait_until("it", Phase.RUNNING))
        removal = asyncio.create_task(supervisor.remove("it"))
        await settle()
        while supervisor.recovery.records:
            await clock.advance(POLICY.teardown_s)
            removal.cancel(
                "not before it is forgotten"
            ) if not supervisor.recovery.records else None
        await settle()
        assert removal.cancelled()

    supervised(scene)  # asserts that no task is left


def test_what_the_core_can_not_stop_is_torn_down_all_the_same() -> None:
    """A bug that refuses an order does not leave its component running."""
    component = FakeComponent()

    class Refusing(RecoveryManager):
        def handle(self, event: object, now_s: float) -> list[object]:  # type: ignore[override]
            if getattr(event, "up", True):
                return list(super().handle(event, now_s))  # type: ignore[arg-type]
            raise ZeroDivisionError

    async def run() -> None:
        clock = FakeClock()

        async def block() -> None:
            recovery = Refusing(chance=chance)
            async with Supervisor(clock=clock, recovery=recovery) as supervisor:
                await supervisor.add("it", component, policy=POLICY)

        await clock.until(block())

    asyncio.run(run())
    assert component.told == ["start 1", "teardown 1"]
