"""`Supervisor` as users have it: components come, heal, are commanded, and end with the block."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from errno import ECONNREFUSED
from typing import Any

import pytest
from tests.unit.supervision.scenes import forever, supervised

from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, Cause, Fault, Phase, RecoveryPolicy, Step
from stream_manager.supervision import Run, Supervisor
from stream_manager.supervision.ending import LAST_PATIENCE_S
from stream_manager.supervision.journal import LOST_S
from stream_manager.supervision.supervisor import STOP_MARGIN_S
from stream_manager.testing import Act, FakeClock, FakeComponent, FaultScript, settle

POLICY = RecoveryPolicy(
    backoff=Backoff(base_s=1.0, jitter="none"), verify_for_s=1.0, start_deadline_s=15.0
)
REFUSED = ConnectionRefusedError(ECONNREFUSED, "nobody listens")


def test_a_function_runs_and_is_proven_by_being_alive() -> None:
    """It counts as running after `verify_for_s`, and not before."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", forever, policy=POLICY)
        assert supervisor.status("ingest").phase is Phase.STARTING
        await clock.advance(0.9)
        assert supervisor.status("ingest").phase is Phase.VERIFYING
        await clock.advance(0.2)
        assert supervisor.status("ingest").phase is Phase.RUNNING

    supervised(scene)


def test_what_fails_is_started_again_after_its_backoff() -> None:
    """The fault is named by what was raised, and the wait is the policy's."""
    calls: list[float] = []

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        async def ingest() -> None:
            calls.append(clock.now_s)
            if len(calls) < 3:
                raise REFUSED
            await forever()

        began_s = clock.now_s
        await supervisor.add("ingest", ingest, policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        assert [at_s - began_s for at_s in calls] == [0.0, 1.0, 3.0]
        status = supervisor.status("ingest")
        assert (status.epoch, status.attempts, status.cause) == (3, 2, Cause.NETWORK)
        assert status.last_fault is not None
        assert status.last_fault.code == "ECONNREFUSED"

    supervised(scene)


def test_an_odd_policy_is_warned_of() -> None:
    """By the component's name, and where it was added."""
    odd = RecoveryPolicy(stable_for_s=1.0)

    async def scene(supervisor: Supervisor, _clock: FakeClock) -> None:
        with pytest.warns(
            UserWarning, match=r"^component 'ingest': stable_for_s is 1\.0"
        ) as caught:
            await supervisor.add("ingest", forever, policy=odd)
        assert caught[0].filename == __file__
        with pytest.warns(UserWarning, match="^component 'all': stable_for_s"):
            await supervisor.group("all", policy=odd)

    supervised(scene)


@pytest.mark.parametrize("epoch", [1, 7])
def test_a_function_may_take_its_run(epoch: int) -> None:
    """One with a parameter gets the run, with its snapshot; one with none gets nothing."""
    seen: list[Run] = []

    async def ingest(run: Run) -> None:
        seen.append(run)
        run.save({"position": run.epoch})
        await forever()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", ingest, policy=POLICY)
        for _ in range(epoch - 1):
            await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
            await supervisor.restart("ingest")
        await settle()
        assert [run.epoch for run in seen] == list(range(1, epoch + 1))
        assert [run.snapshot for run in seen] == [
            None,
            *({"position": number} for number in range(1, epoch)),
        ]

    supervised(scene)


def test_a_function_that_returns_at_once_ends_as_failed() -> None:
    """It is meant to run for ever; five returns before it ever worked are no accident."""
    calls: list[None] = []

    async def returns() -> None:
        calls.append(None)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", returns, policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.FAILED))
        assert len(calls) == 5
        status = supervisor.status("ingest")
        assert status.last_fault is not None
        assert status.last_fault.code == "finished"
        assert status.next_attempt_in_s == POLICY.probe_every_s

    supervised(scene)


def test_leaving_the_block_stops_everything_the_newest_first() -> None:
    """What was started upon something ends before it."""
    ended: list[str] = []

    def named(name: str) -> Callable[[], Coroutine[None, None, None]]:
        async def work() -> None:
            try:
                await forever()
            finally:
                ended.append(name)

        return work

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("broker", named("broker"))
        await clock.advance(2.0)
        await supervisor.add("ingest", named("ingest"), needs=["broker"])
        await supervisor.add("report", named("report"), parent="ingest")
        await clock.advance(5.0)

    supervised(scene)
    assert ended == ["report", "ingest", "broker"]


def test_an_error_in_the_block_is_the_callers_and_everything_is_stopped() -> None:
    """It comes out as it was raised, in no group."""
    component = FakeComponent()

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        await supervisor.add("ingest", component)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        supervised(scene)
    assert component.told == ["start 1", "teardown 1"]


@pytest.mark.parametrize(("act", "more_s"), [(Act.HANG, 0.0), (Act.RESIST, LAST_PATIENCE_S)])
def test_a_teardown_that_hangs_holds_up_the_block_for_a_bounded_time(
    act: Act, more_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """It is abandoned after twice `teardown_s`, loudly; the others are stopped all the same."""
    hangs, ends = FakeComponent(teardowns=[act]), FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ends", ends, policy=POLICY)
        await supervisor.add("hangs", hangs, policy=POLICY)
        await clock.advance(3.0)

    clock = supervised(scene)
    assert clock.now_s == pytest.approx(1000.0 + 3.0 + 2 * POLICY.teardown_s + more_s)
    assert ends.told[-1] == "teardown 1"
    assert "hangs: its teardown hangs and is abandoned" in caplog.text


def test_a_function_that_swallows_its_cancellation_is_ended_all_the_same() -> None:
    """After `teardown_s` its coroutine is closed, so that neither block nor program hangs."""
    swallowed: list[None] = []

    async def stubborn() -> None:
        while True:
            try:
                await forever()
            except asyncio.CancelledError:
                swallowed.append(None)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", stubborn, policy=POLICY)
        await clock.advance(3.0)
        await clock.until(supervisor.stop("ingest"))
        assert supervisor.status("ingest").phase is Phase.STOPPED

    clock = supervised(scene)
    assert swallowed == [None]
    assert clock.now_s == pytest.approx(1000.0 + 3.0 + POLICY.teardown_s)


def test_commands_are_carried_out_when_they_return() -> None:
    """Stop waits for the end; start, restart and reset for the decision."""
    component = FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", component, policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        await clock.until(supervisor.stop("ingest"))
        assert supervisor.status("ingest").phase is Phase.STOPPED
        await supervisor.start("ingest")
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        await supervisor.restart("ingest")
        assert supervisor.status("ingest").phase is not Phase.RUNNING
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        assert supervisor.status("ingest").epoch == 3
        component.run.report(REFUSED)
        await clock.until(supervisor.wait_until("ingest", Phase.BACKING_OFF))
        await supervisor.reset("ingest")
        assert supervisor.status("ingest").phase in {Phase.STARTING, Phase.VERIFYING}

    supervised(scene)


def test_a_removed_component_is_gone_and_its_name_is_free() -> None:
    """It is stopped first; what it says later reaches nobody, whoever has its name now."""
    old, new = FakeComponent(), FakeComponent()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", old, policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        waits = asyncio.create_task(supervisor.wait_until("ingest", Phase.FAILED))
        await settle()
        await supervisor.remove("ingest")
        with pytest.raises(UsageError, match="was removed"):
            await waits
        with pytest.raises(UsageError, match="no component 'ingest'"):
            supervisor.status("ingest")
        await supervisor.add("ingest", new, policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        old.run.report(REFUSED)
        await settle()
        assert supervisor.status("ingest").phase is Phase.RUNNING

    supervised(scene)


def test_what_others_need_is_not_removed() -> None:
    """The refusal names them, and has stopped nothing."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("broker", FakeComponent(), policy=POLICY)
        await supervisor.add("ingest", FakeComponent(), needs=["broker"], policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        with pytest.raises(UsageError, match="needed by ingest"):
            await supervisor.remove("broker")
        assert supervisor.status("broker").phase is Phase.RUNNING

    supervised(scene)


async def _called() -> None: ...


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (FakeComponent, "FakeComponent is a class"),
        (42, "42 is neither"),
        ("ingest", "'ingest' is neither"),
    ],
)
def test_what_can_not_be_run_is_refused_at_the_door(given: object, told: str) -> None:
    """The mistakes that are easily made are named, and nothing has changed."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        with pytest.raises(UsageError, match=told):
            await supervisor.add("it", given)  # type: ignore[arg-type]  # the mistake itself
        with pytest.raises(UsageError, match="no component"):
            supervisor.explain("it")

    supervised(scene)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"needs": "broker"}, "needs is 'broker'"),
        ({"needs": ["broker"]}, "needs 'broker', which does not exist"),
        ({"parent": "broker"}, "needs 'broker', which does not exist"),
        ({"depends_on": "host:10.0.0.5"}, "depends_on is 'host:10.0.0.5'"),
        ({"stall_after_s": 0.0}, "stall_after_s is 0.0"),
        ({"stall_after_s": -1.0}, "stall_after_s is -1.0"),
        ({"stall_after_s": float("nan")}, "stall_after_s is nan"),
        ({"stall_after_s": float("inf")}, "stall_after_s is inf"),
        ({"id_": ""}, "id is empty"),
        ({"id_": "there"}, "'there' exists already"),
    ],
)
def test_impossible_options_are_refused_at_the_door(options: dict[str, Any], told: str) -> None:
    """The option and its value are named, nothing has changed, and nothing was started."""
    component = FakeComponent()

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        await supervisor.add("there", FakeComponent())
        with pytest.raises(UsageError, match=told):
            await supervisor.add(**{"id_": "it", "component": component, **options})
        assert list(supervisor.recovery.records) == ["there"]

    supervised(scene)
    assert component.told == []


def test_a_coroutine_in_place_of_its_function_is_refused() -> None:
    """It can't be started twice; the message says what to hand over."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        with pytest.raises(UsageError, match="hand over the function"):
            await supervisor.add("it", _called())  # type: ignore[arg-type]  # the mistake itself

    supervised(scene)


def test_a_function_that_is_not_async_is_a_fault_that_names_the_remedy() -> None:
    """It can only be seen when it is called."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", lambda: 42, policy=POLICY)  # type: ignore[arg-type]  # the mistake
        await clock.until(supervisor.wait_until("it", Phase.FAILED))
        assert any("ThreadFunction" in line for line in supervisor.explain("it"))

    supervised(scene)


def test_a_supervisor_that_does_not_run_takes_nothing() -> None:
    """Neither before its block nor after it, and the block is entered once."""

    async def run() -> None:
        supervisor = Supervisor()
        with pytest.raises(UsageError, match="async with"):
            await supervisor.add("ingest", forever)
        async with supervisor:
            pass
        with pytest.raises(UsageError, match="stopping"):
            await supervisor.add("ingest", forever)
        with pytest.raises(UsageError, match="once"):
            await supervisor.__aenter__()

    asyncio.run(run())


def test_explain_says_why_and_when_in_sentences() -> None:
    """The fault, what was said, the rule, and the next attempt's time."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        component = FakeComponent(starts=[ValueError("no such topic")])
        await supervisor.add("ingest", component, policy=POLICY)
        await clock.advance(0.5)
        lines = supervisor.explain("ingest")
        assert lines[0].startswith("ingest is backing off: attempt 1 at ")
        assert "ValueError" in lines[1]
        assert lines[2] == "It said: no such topic"
        assert supervisor.status("ingest").next_attempt_in_s == pytest.approx(0.5)

    supervised(scene)


def test_no_word_of_cameras_reaches_whoever_has_none(caplog: pytest.LogCaptureFixture) -> None:
    """A service is told of connections and of progress."""
    component = FakeComponent(starts=[REFUSED])

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", component, policy=POLICY)
        await clock.advance(0.5)
        assert "the connection was refused (ECONNREFUSED)" in supervisor.explain("ingest")[1]
        await clock.advance(1.0)
        assert "waiting for steady progress, due by" in supervisor.explain("ingest")[0]
        await clock.advance(30.0)

    with caplog.at_level(logging.DEBUG, "stream_manager.decisions"):
        supervised(scene)
    assert "progress advances: proven" in caplog.text
    assert not {"camera", "media"} & set(caplog.text.replace(":", " ").split())


def test_what_is_needed_and_shared_reaches_the_core() -> None:
    """A parent is needed too, and domains are the component's own."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        await supervisor.add("broker", FakeComponent())
        await supervisor.add("bus", FakeComponent())
        await supervisor.add(
            "ingest", FakeComponent(), parent="bus", needs=["broker"], depends_on=["host:10.0.0.5"]
        )
        spec = supervisor.recovery.records["ingest"].spec
        assert (spec.parent, spec.needs) == ("bus", ("bus", "broker"))
        assert spec.domains == ("host:10.0.0.5",)

    supervised(scene)


def test_components_that_share_a_host_are_one_incident(caplog: pytest.LogCaptureFixture) -> None:
    """They wait for it together, uncharged, one probes, and all come back; who has another runs."""
    host = [FakeComponent(starts=[Act.WORK, *[REFUSED] * 3]) for _ in range(5)]

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("other", FakeComponent(), depends_on=["host:10.0.0.6"])
        for number, component in enumerate(host):
            await supervisor.add(f"it-{number}", component, depends_on=["host:10.0.0.5"])
        await clock.advance(5.0)
        await FaultScript(*((0.1 * n, it, REFUSED) for n, it in enumerate(host))).play(clock)
        await clock.advance(2.0)
        assert list(supervisor.recovery.incidents) == ["host:10.0.0.5"]
        held = [n for n in range(5) if supervisor.status(f"it-{n}").phase is Phase.PARKED]
        assert len(held) >= 4
        assert any("host:10.0.0.5" in line for line in supervisor.explain(f"it-{held[0]}"))
        await clock.advance(60.0)
        phases = {supervisor.status(f"it-{n}").phase for n in range(5)}
        assert phases == {Phase.RUNNING}
        assert supervisor.recovery.incidents == {}
        assert supervisor.status("other").epoch == 1

    with caplog.at_level(logging.INFO, "stream_manager.decisions"):
        supervised(scene)
    told = [it for it in caplog.records if it.getMessage().startswith("host:10.0.0.5")]
    assert (told[0].levelname, told[-1].levelname) == ("WARNING", "INFO")


def test_the_default_journal_tells_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A fault is a warning, a recovery information, the end of patience an error."""
    component = FakeComponent(starts=[Act.WORK, *[ValueError("no")] * 9])

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", component, policy=POLICY)
        await clock.advance(2.0)
        await FaultScript((0.0, component, REFUSED)).play(clock)
        await clock.until(supervisor.wait_until("ingest", Phase.FAILED))

    with caplog.at_level(logging.DEBUG, "stream_manager.decisions"):
        supervised(scene)
    levels = {record.levelname: record.getMessage() for record in reversed(caplog.records)}
    assert levels["WARNING"].endswith("[network-errno]")
    assert levels["INFO"].startswith("ingest: wanted")
    assert levels["ERROR"].endswith("[budget-spent]")
    assert levels["DEBUG"].endswith("[started]")


def test_a_journal_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The loss of the journal is told, and recovery goes on."""

    async def broken(decisions: Sequence[Step], at_most_s: float) -> bool:
        raise OSError(f"no room for {len(decisions)} within {at_most_s}")

    async def run() -> None:
        clock = FakeClock()
        async with Supervisor(clock=clock, journal=broken) as supervisor:
            await supervisor.add("ingest", forever, policy=POLICY)
            await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))

    asyncio.run(run())
    assert "not journalled: 1 decisions" in caplog.text


def test_a_journal_that_is_cancelled_does_not_end_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What it awaits was cancelled, and not whoever waits for it."""

    async def cancelled(decisions: Sequence[Step], at_most_s: float) -> bool:  # noqa: ARG001
        raise asyncio.CancelledError

    async def run() -> None:
        clock = FakeClock()
        async with Supervisor(clock=clock, journal=cancelled) as supervisor:
            await supervisor.add("ingest", forever, policy=POLICY)
            await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))

    asyncio.run(run())
    assert "the journal was cancelled: 1 decisions unwritten" in caplog.text


@pytest.mark.parametrize("margin_s", [None, 0.0])
def test_a_journal_that_hangs_stops_nothing(
    margin_s: float | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up after a moment each time, and the block is left in bounded time."""
    if margin_s is not None:
        monkeypatch.setattr("stream_manager.supervision.supervisor.STOP_MARGIN_S", margin_s)
    clock, component = FakeClock(), FakeComponent(teardowns=[Act.HANG])

    async def hangs(decisions: Sequence[Step], at_most_s: float) -> bool:  # noqa: ARG001
        await forever()
        return True

    async def play() -> None:
        async with Supervisor(clock=clock, journal=hangs) as supervisor:
            await supervisor.add("ingest", component, policy=POLICY)
            await supervisor.wait_until("ingest", Phase.RUNNING)

    async def run() -> None:
        await clock.until(play())

    asyncio.run(run())
    assert component.told == ["start 1", "teardown 1"]
    assert clock.now_s < 1000.0 + 4 * LOST_S + 2 * POLICY.teardown_s + STOP_MARGIN_S
    assert "the journal does not answer: 1 decisions unwritten" in caplog.text
    assert ("ingest did not stop within" in caplog.text) is (margin_s is not None)


def test_what_ends_by_no_means_is_left_behind_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """A bare except in a loop survives everything; the block is left all the same."""
    freed = asyncio.Event()

    class Immortal(FakeComponent):
        async def start(self, run: Run) -> None:
            run.create_task(self.work())

        async def work(self) -> None:
            while not freed.is_set():
                try:
                    await freed.wait()
                except BaseException:  # noqa: BLE001 - the worst that a user can write
                    continue

        async def teardown(self) -> None:
            """Do nothing about it."""

    async def run() -> None:
        clock = FakeClock()

        async def play() -> None:
            async with Supervisor(clock=clock) as supervisor:
                await supervisor.add("ingest", Immortal(), policy=POLICY)

        await clock.until(play())
        freed.set()
        await settle()

    asyncio.run(run())
    assert "ingest run 1 ends by no means and is left behind" in caplog.text


def test_a_removal_that_something_overtakes_is_refused_and_changes_nothing() -> None:
    """A component that is started again just then is not torn out of its run."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", FakeComponent(), policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        removal = asyncio.create_task(supervisor.remove("ingest"))
        await supervisor.wait_until("ingest", Phase.STOPPED)
        await supervisor.start("ingest")
        with pytest.raises(UsageError, match="stop it first"):
            await removal
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))

    supervised(scene)


@pytest.mark.parametrize("in_one_round", [True, False])
@pytest.mark.parametrize("verb", ["stop", "remove"])
def test_a_stop_that_somebody_overtakes_does_not_wait_for_ever(
    verb: str, *, in_one_round: bool
) -> None:
    """It was started again before it had stopped: who wanted it down hears that, and it runs."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("ingest", FakeComponent(teardowns=[Act.HANG]), policy=POLICY)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))
        stop = asyncio.create_task(getattr(supervisor, verb)("ingest"))
        await (asyncio.sleep(0) if in_one_round else settle())
        await supervisor.start("ingest")
        with pytest.raises(UsageError, match="'ingest' was started again before it had stopped"):
            await clock.until(stop)
        await clock.until(supervisor.wait_until("ingest", Phase.RUNNING))

    supervised(scene)


def test_a_cancelled_block_stops_everything_and_stays_cancelled() -> None:
    """Ctrl-C in asyncio.run does this: nothing of the block goes on."""
    component = FakeComponent()

    async def run() -> None:
        clock = FakeClock()

        async def block() -> None:
            async with Supervisor(clock=clock) as supervisor:
                await supervisor.add("ingest", component)
                await forever()

        task = asyncio.create_task(block())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert component.told == ["start 1", "teardown 1"]


def test_a_fault_is_given_as_it_is() -> None:
    """Who knows more than an exception says reports a Fault of its own."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        component = FakeComponent()
        await supervisor.add("ingest", component, policy=POLICY)
        await clock.advance(2.0)
        fault = Fault(origin="broker", code="lag", text="9000 messages behind")
        component.run.report(fault)
        await settle()
        assert supervisor.status("ingest").last_fault == fault

    supervised(scene)


def test_what_two_ask_at_once_ends_nobody() -> None:
    """The second removal of the same component is refused, and all others go on."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        for id_ in ("a", "b"):
            await supervisor.add(id_, forever, depends_on=["host:x", "host:x"], policy=POLICY)
        twice = asyncio.gather(
            supervisor.remove("a"), supervisor.remove("a"), return_exceptions=True
        )
        first, second = await clock.until(twice)
        assert first is None
        assert isinstance(second, UsageError)
        await clock.until(supervisor.wait_until("b", Phase.RUNNING))

    supervised(scene)


class Careless:
    """Makes the usual mistakes of a teardown and a snapshot."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.alive: set[int] = set()
        self.waits: asyncio.Task[None] | None = None

    async def start(self, run: Run) -> None:
        """Start a task of its own, and one of the run's."""
        self.waits = asyncio.create_task(forever())
        run.create_task(self.work(run))

    async def work(self, run: Run) -> None:
        """Work for ever."""
        self.alive.add(run.epoch)
        try:
            if self.where == "task" and run.epoch == 1:
                await run.clock.sleep(2.0)
                sys.exit(3)
            await forever()
        finally:
            self.alive.discard(run.epoch)

    async def teardown(self) -> None:
        """Await what it has cancelled, or end the program."""
        assert self.waits is not None
        self.waits.cancel()
        if self.where == "teardown":
            sys.exit(3)
        await self.waits

    def snapshot(self) -> None:
        """Give none, or end the program."""
        if self.where == "snapshot":
            sys.exit(3)


def test_a_task_of_a_run_that_ends_the_program_ends_that_run_alone() -> None:
    """It is a fault, by the name of what was raised, and the component is started again."""
    careless = Careless("task")

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("careless", careless, policy=POLICY)
        await supervisor.add("other", forever, policy=POLICY)
        await clock.until(supervisor.wait_until("careless", Phase.BACKING_OFF))
        fault = supervisor.status("careless").last_fault
        assert fault is not None
        assert (fault.code, fault.text) == ("SystemExit", "3")
        await clock.until(supervisor.wait_until("careless", Phase.RUNNING))
        assert supervisor.status("other").epoch == 1

    supervised(scene)


@pytest.mark.parametrize("where", ["nowhere", "teardown", "snapshot"])
def test_a_careless_component_harms_nobody_else(where: str) -> None:
    """Neither sys.exit nor a cancellation of its own ends more than its run, and that whole."""
    careless = Careless(where)

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("careless", careless, policy=POLICY)
        await supervisor.add("other", forever, policy=POLICY)
        for _ in range(2):
            await clock.until(supervisor.wait_until("careless", Phase.RUNNING))
            await supervisor.restart("careless")
        await clock.until(supervisor.wait_until("careless", Phase.RUNNING))
        assert careless.alive == {supervisor.status("careless").epoch}
        assert supervisor.status("other").attempts == 0

    supervised(scene)
    assert careless.alive == set()
