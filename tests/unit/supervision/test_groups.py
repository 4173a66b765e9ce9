"""Groups under `Supervisor`: strategies, restart types, and the order of starts and stops."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest
from tests.unit.supervision.scenes import forever, supervised

from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, Budget, Phase, RecoveryPolicy, RestartType, Strategy
from stream_manager.supervision import Run, Supervisor
from stream_manager.testing import Act, FakeClock, FakeComponent

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, factor=1.0, cap_s=1.0, jitter="none"))
NAMES = ("a", "b", "c")


class Crew:
    """Three functions of one group, which write down when they start and end, and break on order.

    told: "+a" for a start and "-a" for an end, since the last time that somebody looked.
    """

    def __init__(self, supervisor: Supervisor, clock: FakeClock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._told: list[str] = []
        self._orders: dict[str, asyncio.Future[None]] = {}

    async def join(self, strategy: Strategy, *, policy: RecoveryPolicy = POLICY) -> None:
        """Add the group and its functions, and wait until all run."""
        await self._supervisor.group("crew", strategy=strategy, policy=POLICY)
        for name in NAMES:
            await self._supervisor.add(name, self._work(name), policy=policy, parent="crew")
        await self.runs()

    async def runs(self) -> None:
        """Wait until all run, and forget what was told."""
        for name in NAMES:
            await self._clock.until(self._supervisor.wait_until(name, Phase.RUNNING))
        self._told.clear()

    async def breaks(self, name: str) -> list[str]:
        """Let one fail; return what is told until two seconds later."""
        self._orders[name].set_exception(ValueError(name))
        await self._clock.advance(2.0)
        return self.told()

    def told(self) -> list[str]:
        """Return what was told since the last time."""
        told, self._told = self._told, []
        return told

    def _work(self, name: str) -> Callable[[], Coroutine[None, None, None]]:
        async def work() -> None:
            self._told.append(f"+{name}")
            order = self._orders[name] = asyncio.get_running_loop().create_future()
            try:
                await order
            finally:
                self._told.append(f"-{name}")

        return work


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (Strategy.ONE_FOR_ONE, ["-b", "+b"]),
        (Strategy.REST_FOR_ONE, ["-b", "-c", "+b", "+c"]),
        (Strategy.ONE_FOR_ALL, ["-b", "-c", "-a", "+a", "+b", "+c"]),
    ],
)
def test_a_failure_takes_along_whom_its_groups_strategy_says(
    strategy: Strategy, told: list[str]
) -> None:
    """The newest go down first, all come back in the order of their start, and one is charged."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        crew = Crew(supervisor, clock)
        await crew.join(strategy)
        assert await crew.breaks("b") == told
        await crew.runs()
        assert [supervisor.status(it).attempts for it in NAMES] == [0, 1, 0]
        assert supervisor.status("crew").phase is Phase.RUNNING

    supervised(scene)


def test_a_group_runs_at_once_and_is_stopped_started_and_restarted_with_all_its_children() -> None:
    """It has no work of its own; each command reaches the children in order."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.group("alone")
        assert await supervisor.wait_until("alone", Phase.RUNNING) is Phase.RUNNING
        await supervisor.remove("alone")
        crew = Crew(supervisor, clock)
        await crew.join(Strategy.ONE_FOR_ONE)
        await supervisor.stop("crew")
        assert crew.told() == ["-c", "-b", "-a"]
        assert {supervisor.status(it).phase for it in NAMES} == {Phase.PARKED}
        await supervisor.start("crew")
        await crew.runs()
        await supervisor.restart("crew")
        await clock.advance(0.0)
        assert crew.told() == ["-c", "-b", "-a", "+a", "+b", "+c"]
        with pytest.raises(UsageError, match="needed by a, b, c: remove that first"):
            await supervisor.remove("crew")

    supervised(scene)


def test_a_child_that_spends_its_budget_has_the_whole_group_restarted() -> None:
    """The group is charged for it, waits by its own backoff, and the child begins anew."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        crew = Crew(supervisor, clock)
        await crew.join(Strategy.ONE_FOR_ONE, policy=replace(POLICY, budget=Budget(restarts=1)))
        assert await crew.breaks("a") == ["-a", "+a"]
        assert await crew.breaks("a") == ["-a", "-c", "-b", "+a", "+b", "+c"]
        assert supervisor.status("crew").attempts == 1
        assert supervisor.recovery.records["a"].charged == ()

    supervised(scene)


def test_leaving_the_block_stops_the_newest_first_and_groups_after_their_children(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also groups within groups, and what was added after a group's children."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.group("outer", strategy=Strategy.ONE_FOR_ALL)
        await supervisor.add("first", forever, parent="outer")
        await supervisor.group("inner", strategy=Strategy.REST_FOR_ONE, parent="outer")
        await supervisor.add("left", forever, parent="inner")
        await supervisor.add("right", forever, parent="inner")
        await supervisor.add("late", forever)
        await clock.until(supervisor.wait_until("right", Phase.RUNNING))

    with caplog.at_level(logging.INFO, "stream_manager.decisions"):
        supervised(scene)
    ended = [it for it in caplog.messages if it.endswith(": torn down — not wanted [gone]")]
    order = [it.split(":")[0] for it in ended]
    assert order == ["late", "right", "left", "inner", "first", "outer"]


def test_a_child_that_hangs_delays_its_group_by_its_own_time_only() -> None:
    """It is abandoned after twice its `teardown_s`; its siblings and the group end in no time."""
    hangs = FakeComponent(teardowns=[Act.HANG])
    slow, quick = replace(POLICY, teardown_s=3.0), replace(POLICY, teardown_s=1.0)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.group("crew", strategy=Strategy.ONE_FOR_ALL, policy=quick)
        await supervisor.add("a", forever, policy=quick, parent="crew")
        await supervisor.add("hangs", hangs, policy=slow, parent="crew")
        await supervisor.add("c", forever, policy=quick, parent="crew")
        await clock.until(supervisor.wait_until("c", Phase.RUNNING))
        began_s = clock.now_s
        await clock.until(supervisor.stop("crew"))
        assert clock.now_s - began_s == pytest.approx(2 * slow.teardown_s)

    supervised(scene)


@pytest.mark.parametrize("restart", [RestartType.TRANSIENT, RestartType.TEMPORARY])
def test_what_returns_and_need_not_go_on_is_done(restart: RestartType) -> None:
    """It is STOPPED and says that it has finished; no sibling is taken along; start begins anew."""
    runs: list[int] = []

    async def job(run: Run) -> None:
        runs.append(run.epoch)
        await run.clock.sleep(5.0)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.group("crew", strategy=Strategy.ONE_FOR_ALL)
        await supervisor.add("job", job, policy=POLICY, parent="crew", restart=restart)
        await supervisor.add("other", forever, policy=POLICY, parent="crew")
        await clock.until(supervisor.wait_until("job", Phase.STOPPED))
        status = supervisor.status("job")
        assert (status.finished, status.attempts, status.last_fault) == (True, 0, None)
        assert supervisor.explain("job") == [
            "job is stopped: it ended in good order, and is started again by command alone."
        ]
        await clock.until(supervisor.wait_until("other", Phase.RUNNING))
        assert supervisor.status("other").epoch == 1
        await supervisor.start("job")
        assert not supervisor.status("job").finished
        await clock.until(supervisor.wait_until("job", Phase.STOPPED))
        assert runs == [1, 2]

    supervised(scene)


@pytest.mark.parametrize(
    ("restart", "phase"),
    [
        (RestartType.PERMANENT, Phase.BACKING_OFF),
        (RestartType.TRANSIENT, Phase.BACKING_OFF),
        (RestartType.TEMPORARY, Phase.FAILED),
    ],
)
def test_a_fault_ends_what_is_temporary_alone(restart: RestartType, phase: Phase) -> None:
    """Everything else is tried again."""

    async def breaks(run: Run) -> None:
        await run.clock.sleep(5.0)
        raise ValueError

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", breaks, policy=POLICY, restart=restart)
        found = supervisor.wait_until("it", Phase.BACKING_OFF, Phase.FAILED)
        assert await clock.until(found) is phase
        assert not supervisor.status("it").finished

    supervised(scene)


def test_a_component_of_ones_own_says_that_it_has_finished() -> None:
    """From then on it is torn down as ever; what it says later, or said twice, changes nothing."""
    component = FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", component, policy=POLICY, restart=RestartType.TRANSIENT)
        await clock.until(supervisor.wait_until("it", Phase.RUNNING))
        component.run.finish()
        component.run.finish()
        await clock.until(supervisor.wait_until("it", Phase.STOPPED))
        old = component.run
        await supervisor.start("it")
        await clock.until(supervisor.wait_until("it", Phase.RUNNING))
        old.finish()
        await clock.advance(1.0)
        assert supervisor.status("it").phase is Phase.RUNNING

    supervised(scene)
    assert component.told == ["start 1", "teardown 1", "start 2", "teardown 2"]


def test_impossible_groups_are_refused_at_the_door() -> None:
    """A name that is empty or taken, and a parent that is not there."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        await supervisor.group("crew")
        with pytest.raises(UsageError, match="id is empty"):
            await supervisor.group("")
        with pytest.raises(UsageError, match="'crew' exists already"):
            await supervisor.group("crew")
        with pytest.raises(UsageError, match="needs 'nobody', which does not exist"):
            await supervisor.group("other", parent="nobody")
        assert list(supervisor.recovery.records) == ["crew"]

    supervised(scene)
