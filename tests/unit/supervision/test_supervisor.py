"""The one loop: events in order, the journal before the act, timers, and bugs that end nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import pytest

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Action,
    Backoff,
    Failed,
    Gone,
    Phase,
    Proved,
    RecoveryManager,
    RecoveryPolicy,
    Restart,
    Spec,
    Start,
    Started,
    Step,
    Stop,
    Wanted,
    exit_fault,
)
from stream_manager.supervision import Supervisor
from stream_manager.supervision.journal import PATIENCE_S
from stream_manager.testing import FakeClock, settle

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"), start_deadline_s=15.0)
UP = Wanted(id="cam", up=True, digest="1")


class Shell:
    """A supervisor whose journal, watcher and component write everything into one list."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: list[str] = []
        self.actions: list[Action] = []
        self.patience: list[float] = []
        self.rounds = 0
        self.disk = asyncio.Event()
        self.disk.set()
        self.supervisor = Supervisor(
            recovery=RecoveryManager(chance=lambda: 0.5),
            journal=self.write,
            clock=self.clock,
            watch=lambda decision: self.told.append(f"watch {decision.rule}"),
            came_round=self.came_round,
        )
        self.supervisor.enlist(Spec(id="cam", policy=POLICY), self)

    async def write(self, decisions: Sequence[Step], at_most_s: float) -> bool:
        """Be the journal: slow while `disk` is not set."""
        self.patience.append(at_most_s)
        await self.disk.wait()
        self.told += [f"journal {it.rule}" for it in decisions]
        return True

    def came_round(self) -> None:
        """Count the rounds."""
        self.rounds += 1

    def begin(self, action: Action) -> None:
        """Be the component."""
        self.told.append(f"begin {type(action).__name__} {action.epoch}")
        self.actions.append(action)

    def phase(self) -> Phase:
        """Return where the component stands now."""
        return self.supervisor.recovery.records["cam"].phase

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the supervisor; it must not end by itself."""
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield
            await settle()
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def bring_up(self) -> None:
        """Let the component start and prove itself."""
        self.supervisor.post(UP)
        await settle()
        self.supervisor.post(Started(id="cam", epoch=1))
        self.supervisor.post(Proved(id="cam", epoch=1))
        await settle()


Script = Callable[[Shell], Coroutine[None, None, None]]


def scripted(script: Script) -> None:
    """Run a script against a supervisor that runs."""

    async def run() -> None:
        shell = Shell()
        async with shell.running():
            await script(shell)

    asyncio.run(run())


def test_a_decision_is_written_then_watched_then_acted_upon() -> None:
    """What was done can always be found in the journal, for it stood there first."""

    async def script(shell: Shell) -> None:
        shell.supervisor.post(UP)
        await settle()
        assert shell.told == ["journal wanted", "watch wanted", "begin Start 1"]

    scripted(script)


def test_nothing_is_done_before_the_journal_answers() -> None:
    """The supervisor gives the journal its patience, and acts when it returns."""

    async def script(shell: Shell) -> None:
        shell.disk.clear()
        shell.supervisor.post(UP)
        await settle()
        assert shell.actions == []
        assert shell.patience == [PATIENCE_S]
        shell.disk.set()
        await settle()
        assert shell.actions == [Start(id="cam", epoch=1, restore=True, deadline_s=15.0)]

    scripted(script)


def test_events_that_arrive_while_the_journal_writes_are_decided_afterwards_in_order() -> None:
    """None is lost and none overtakes another."""

    async def script(shell: Shell) -> None:
        shell.disk.clear()
        shell.supervisor.post(UP)
        await settle()
        shell.supervisor.post(Started(id="cam", epoch=1))
        shell.supervisor.post(Proved(id="cam", epoch=1))
        shell.supervisor.post(Wanted(id="cam", up=False, digest="1"))
        await settle()
        shell.disk.set()
        await settle()
        rules = [line.split()[1] for line in shell.told if line.startswith("watch")]
        assert rules == ["wanted", "started", "proved", "unwanted"]
        assert shell.actions[-1] == Stop(id="cam", epoch=1, grace_s=POLICY.teardown_s)

    scripted(script)


def test_timers_fire_at_their_instant() -> None:
    """A backoff of a second ends after a second, not before, and not for want of an event."""

    async def script(shell: Shell) -> None:
        await shell.bring_up()
        shell.supervisor.post(Failed(id="cam", epoch=1, fault=exit_fault(1)))
        shell.supervisor.post(Gone(id="cam", epoch=1))
        await settle()
        assert shell.actions[-1] == Start(id="cam", epoch=2, restore=True, deadline_s=15.0)
        shell.supervisor.post(Failed(id="cam", epoch=2, fault=exit_fault(1)))
        shell.supervisor.post(Gone(id="cam", epoch=2))
        await settle()
        assert shell.phase() is Phase.BACKING_OFF
        await shell.clock.advance(1.9)
        assert shell.phase() is Phase.BACKING_OFF
        await shell.clock.advance(0.2)
        assert shell.phase() is Phase.STARTING
        assert shell.actions[-1].epoch == 3

    scripted(script)


def test_a_start_without_an_answer_ends_at_its_deadline() -> None:
    """Some failures give no message at all."""

    async def script(shell: Shell) -> None:
        shell.supervisor.post(UP)
        await settle()
        await shell.clock.advance(POLICY.start_deadline_s)
        assert shell.phase() is Phase.TEARING_DOWN
        assert shell.told[-1] == "begin Stop 1"

    scripted(script)


def test_an_event_wakes_a_supervisor_that_waits_for_a_timer() -> None:
    """The wait for the deadline of a start does not delay the news that it succeeded."""

    async def script(shell: Shell) -> None:
        shell.supervisor.post(UP)
        await settle()
        shell.supervisor.post(Started(id="cam", epoch=1))
        await settle()
        assert shell.phase() is Phase.VERIFYING

    scripted(script)


def test_a_broken_invariant_is_told_whole_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An impossible event is refused with its traceback; others are decided as before."""

    async def script(shell: Shell) -> None:
        await shell.bring_up()
        shell.supervisor.post(Gone(id="cam", epoch=1))
        await settle()
        assert shell.phase() is Phase.RUNNING
        shell.supervisor.post(Wanted(id="cam", up=False, digest="1"))
        await settle()
        assert shell.phase() is Phase.STOPPING

    with caplog.at_level(logging.ERROR):
        scripted(script)
    (record,) = caplog.records
    assert "Gone" in record.getMessage()
    assert record.exc_info is not None


def test_an_unknown_component_is_refused_at_the_door() -> None:
    """The caller hears of its mistake, and the loop never sees it."""

    async def script(shell: Shell) -> None:
        with pytest.raises(UsageError, match="'nobody'"):
            shell.supervisor.post(Wanted(id="nobody", up=True, digest="1"))
        shell.supervisor.post(UP)
        await settle()
        assert shell.phase() is Phase.STARTING

    scripted(script)


def test_only_what_is_stopped_can_be_removed() -> None:
    """A removed component's id is free again; one that runs stays."""

    async def script(shell: Shell) -> None:
        shell.supervisor.post(UP)
        await settle()
        with pytest.raises(UsageError, match="stop it first"):
            shell.supervisor.dismiss("cam")
        shell.supervisor.post(Wanted(id="cam", up=False, digest="1"))
        await settle()
        shell.supervisor.post(Gone(id="cam", epoch=1))
        await settle()
        shell.supervisor.dismiss("cam")
        with pytest.raises(UsageError):
            shell.supervisor.post(UP)
        shell.supervisor.enlist(Spec(id="cam", policy=POLICY), shell, epoch=1)
        shell.supervisor.post(UP)
        await settle()
        assert shell.actions[-1].epoch == 2

    scripted(script)


def test_cancelling_a_waiting_supervisor_leaves_no_task_behind() -> None:
    """Its helpers end with it, whether it waits for an event or for a timer."""

    async def run() -> None:
        for bring_up in (False, True):
            shell = Shell()
            async with shell.running():
                if bring_up:
                    shell.supervisor.post(UP)
                    await settle()
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_a_component_that_breaks_ends_nobody_elses_recovery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What `begin` raises is our bug: told whole, while the loop goes on."""

    async def script() -> None:
        shell = Shell()

        def broken(action: Action) -> None:
            raise KeyError(action.id)

        broken_component = Shell()
        broken_component.begin = broken  # type: ignore[method-assign]  # the test's own bug
        shell.supervisor.enlist(Spec(id="broken", policy=POLICY), broken_component)
        async with shell.running():
            shell.supervisor.post(Wanted(id="broken", up=True, digest="1"))
            shell.supervisor.post(UP)
            await settle()
            assert "begin Start 1" in shell.told

    with caplog.at_level(logging.ERROR):
        asyncio.run(script())
    assert "not acted upon: wanted of broken" in caplog.text


def test_components_come_and_go_between_rounds_alone() -> None:
    """While decisions wait for the disk, nothing they speak of is taken away."""

    async def script() -> None:
        shell = Shell()
        async with shell.running():
            shell.disk.clear()
            shell.supervisor.post(UP)
            await settle()
            shell.supervisor.between_rounds(lambda: shell.told.append("change"))
            await settle()
            assert "change" not in shell.told
            shell.disk.set()
            await settle()
            assert shell.told.index("change") > shell.told.index("begin Start 1")

    asyncio.run(script())


def test_a_change_comes_to_its_turn_however_many_events_come_meanwhile() -> None:
    """Who flaps while the journal writes brings an event into every round, and starves nobody."""

    async def script(shell: Shell) -> None:
        await shell.bring_up()
        supervisor, write, rounds = shell.supervisor, shell.write, 0
        changed_in: list[int] = []

        async def flap(decisions: Sequence[Step], at_most_s: float) -> bool:
            nonlocal rounds
            rounds += 1
            if rounds < 50:
                supervisor.post(Restart(id="cam") if rounds % 2 else Gone(id="cam", epoch=epoch()))
            return await write(decisions, at_most_s)

        def epoch() -> int:
            return supervisor.recovery.records["cam"].epoch

        supervisor._journal = flap
        supervisor.post(Restart(id="cam"))
        supervisor.between_rounds(lambda: changed_in.append(rounds))
        await settle()
        assert rounds == 50
        assert changed_in == [1]

    scripted(script)


def test_a_callback_that_raises_costs_no_decision(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever watches is not needed: what was decided is done, the loop goes on, and it is told."""

    async def script() -> None:
        shell = Shell()

        def broken(*_: object) -> NoReturn:
            raise ZeroDivisionError

        supervisor = shell.supervisor
        supervisor._watch = supervisor._came_round = supervisor._late = broken
        async with shell.running():
            await shell.bring_up()
            assert shell.phase() is Phase.RUNNING
            assert "begin Start 1" in shell.told

    with caplog.at_level(logging.ERROR):
        asyncio.run(script())
    told = {record.getMessage() for record in caplog.records}
    names = ("watch", "came_round", "late")
    assert told == {f"the callback {name} failed" for name in names}


def test_a_round_comes_when_asked_for_and_only_from_the_loop_itself() -> None:
    """Whoever waits for rounds sees that the loop lives, and that one that is stuck does not."""

    async def script(shell: Shell) -> None:
        await settle()
        before = shell.rounds
        shell.supervisor.come_round()
        await settle()
        assert shell.rounds == before + 1
        assert shell.told == []
        shell.disk.clear()  # the journal keeps the loop
        shell.supervisor.post(UP)
        await settle()
        for _ in range(3):
            shell.supervisor.come_round()
            await settle()
        assert shell.rounds == before + 1
        shell.disk.set()
        await settle()
        assert shell.rounds > before + 1

    scripted(script)
