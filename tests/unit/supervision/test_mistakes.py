"""The mistakes of a new user: each is refused by its name, its value and its mend."""

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.unit.supervision.scenes import forever, supervised

from stream_manager.errors import UsageError
from stream_manager.recovery import (
    Backoff,
    Phase,
    RecoveryManager,
    RecoveryPolicy,
    Rule,
)
from stream_manager.recovery.classify import UNMATCHED
from stream_manager.supervision import (
    AsyncFunction,
    Run,
    Subprocess,
    Supervisor,
    ThreadFunction,
)
from stream_manager.testing import FakeClock, FakeComponent

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, jitter="none"))


class Right:
    """A component as it should be."""

    async def start(self, run: Run) -> None:
        """Start."""

    async def teardown(self) -> None:
        """End."""

    def snapshot(self) -> None:
        """Give none."""


class NoTeardown:
    """One that can only be started."""

    async def start(self, run: Run) -> None:
        """Start."""


class NoRun(Right):
    """One whose start takes no run."""

    async def start(self) -> None:  # type: ignore[override]  # the mistake itself
        """Start."""


class SyncStart(Right):
    """One whose start is not async."""

    def start(self, run: Run) -> None:  # type: ignore[override]  # the mistake itself
        """Start."""


class SyncTeardown(Right):
    """One whose teardown is not async."""

    def teardown(self) -> None:  # type: ignore[override]  # the mistake itself
        """End."""


class AsyncSnapshot(Right):
    """One whose snapshot is async."""

    async def snapshot(self) -> None:  # type: ignore[override]  # the mistake itself
        """Give none."""


class ListSnapshot(Right):
    """One whose snapshot is a list."""

    def snapshot(self) -> list[int]:  # type: ignore[override]  # the mistake itself
        """Give what nobody can keep."""
        return [7]


def blocking() -> None:
    """Be a function that is not async, and would block the event loop."""
    raise AssertionError("it was called")


async def two(_one: int, _other: int) -> None:
    """Take two arguments."""


async def keyword(*, port: int) -> None:
    """Take a keyword that nobody gives."""


async def stream() -> AsyncIterator[int]:
    """Be a generator."""
    yield 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (blocking, "blocking is not async: make it an `async def`, or hand over ThreadFunction"),
        (two, "two takes other arguments: expected none, or the run"),
        (keyword, "keyword takes other arguments"),
        (stream, "stream yields: expected an async function"),
        (NoTeardown(), "NoTeardown object .* nor a Component: it has no teardown, no snapshot"),
        (NoRun(), r"NoRun.start takes other arguments: expected `async def start\(self, run\)`"),
        (None, "None is neither"),
    ],
)
def test_what_can_not_be_a_component_is_refused(given: Any, told: str) -> None:  # noqa: ANN401
    """Before it is started, and above all before it blocks the loop."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        with pytest.raises(UsageError, match=told):
            await supervisor.add("it", given)
        assert supervisor.recovery.records == {}

    supervised(scene)


@pytest.mark.parametrize("given", [functools.partial(two, 1, 2), lambda: two(1, 2), Right()])
def test_what_can_be_one_is_taken(given: Any) -> None:  # noqa: ANN401
    """No check at the door is stricter than what is behind it."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", given, policy=POLICY)
        await clock.until(supervisor.wait_until("it", Phase.VERIFYING, Phase.BACKING_OFF))

    supervised(scene)


def test_one_object_is_one_component_until_it_is_removed() -> None:
    """Two runs at once would share what each keeps in it; a function keeps nothing there."""
    component = Right()

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("one", component)
        with pytest.raises(UsageError, match=r"Right object .* is component 'one' already"):
            await supervisor.add("other", component)
        await clock.until(supervisor.remove("one"))
        await supervisor.add("other", component)
        await supervisor.add("a", forever)
        await supervisor.add("b", forever)

    supervised(scene)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"id_": 42}, "a component's id is 42: expected a name"),
        ({"policy": RecoveryPolicy}, "policy is <class .*: expected a RecoveryPolicy"),
        ({"policy": {}}, "policy is {}: expected a RecoveryPolicy"),
        ({"needs": None}, "needs is None: expected a list of names"),
        ({"depends_on": [1]}, r"depends_on is \[1\]: expected a list of names"),
        ({"parent": 5}, "parent is 5: expected the id of a component"),
        ({"restart": "transient"}, "restart is 'transient': .* RestartType.TRANSIENT"),
        ({"stall_after_s": "5s"}, "stall_after_s is '5s': expected a duration above 0"),
    ],
)
def test_options_of_wrong_types_are_refused(options: dict[str, Any], told: str) -> None:
    """The option and its value are named, and what was expected."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        with pytest.raises(UsageError, match=told):
            await supervisor.add(**{"id_": "it", "component": forever, **options})
        assert supervisor.recovery.records == {}

    supervised(scene)


def test_a_name_that_nobody_has_and_a_phase_that_is_none_are_refused() -> None:
    """Where others are meant, they are named; a wait that could never end is not begun."""

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        with pytest.raises(UsageError, match=r"'ingst': add it first .there are: none yet"):
            supervisor.status("ingst")
        await supervisor.add("ingest", forever)
        with pytest.raises(UsageError, match=r"'ingst': add it first .there are: 'ingest'"):
            supervisor.status("ingst")
        with pytest.raises(UsageError, match="got nothing: expected phases"):
            await supervisor.wait_until("ingest")
        with pytest.raises(UsageError, match="got 'running': expected phases"):
            await supervisor.wait_until("ingest", "running")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="strategy is 'one_for_all': expected a Strategy"):
            await supervisor.group("crew", strategy="one_for_all")  # type: ignore[arg-type]

    supervised(scene)


async def _reports_a_word(run: Run) -> None:
    run.report("down")  # type: ignore[arg-type]  # the mistake itself


async def _reports_a_class(run: Run) -> None:
    run.report(ValueError)  # type: ignore[arg-type]  # the mistake itself


async def _saves_a_list(run: Run) -> None:
    run.save([7])  # type: ignore[arg-type]  # the mistake itself


async def _starts_a_function(run: Run) -> None:
    run.create_task(forever)  # type: ignore[arg-type]  # the mistake itself


@pytest.mark.parametrize(
    ("component", "told"),
    [
        (_reports_a_word, "report got 'down': expected an exception"),
        (_reports_a_class, "report got <class 'ValueError'>: expected an exception"),
        (_saves_a_list, "save got [7]: expected a dict"),
        (_starts_a_function, "expected the call of an async function"),
        (SyncStart(), "SyncStart.start is not async: write `async def start`"),
        (lambda: 42, "<lambda> is not async"),
    ],
)
def test_a_mistake_inside_is_a_fault_that_says_the_mend(component: Any, told: str) -> None:  # noqa: ANN401
    """It can only be seen when it happens, and `explain` has it then."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", component, policy=POLICY)
        await clock.until(supervisor.wait_until("it", Phase.FAILED))
        assert any(told in line for line in supervisor.explain("it"))

    supervised(scene)


@pytest.mark.parametrize(
    ("component", "told"),
    [
        (SyncTeardown(), "SyncTeardown.teardown is not async: write `async def teardown`"),
        (AsyncSnapshot(), "AsyncSnapshot.snapshot is async: write a plain `def snapshot`"),
        (ListSnapshot(), "ListSnapshot.snapshot returned [7]: expected None, a dict"),
    ],
)
def test_a_mistake_at_the_end_of_a_run_is_logged_with_the_mend(
    component: Any,  # noqa: ANN401
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The run ends all the same."""

    async def scene(supervisor: Supervisor, clock: FakeClock) -> None:
        await supervisor.add("it", component, policy=POLICY)
        await clock.until(supervisor.wait_until("it", Phase.RUNNING))

    supervised(scene)
    assert told in caplog.text


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ThreadFunction(forever), "forever is async: hand it over as it is, in no thread"),  # type: ignore[arg-type]
        (lambda: ThreadFunction(blocking), r"blocking takes other arguments: expected \(stop\)"),  # type: ignore[arg-type]
        (lambda: ThreadFunction(None), "None is no function"),  # type: ignore[arg-type]
        (lambda: AsyncFunction(7), "7 is no function"),  # type: ignore[arg-type]
        (lambda: Subprocess(["sleep", 5]), "arguments holds 5: expected strings or paths"),  # type: ignore[list-item]
        (lambda: Supervisor(clock=FakeClock), "clock is <class .*: expected an object with mono"),  # type: ignore[arg-type]
        (lambda: Supervisor(journal=5), "journal is 5: expected"),  # type: ignore[arg-type]
        (lambda: Supervisor(watch=5), "watch is 5: expected"),  # type: ignore[arg-type]
        (lambda: Supervisor(late=0.5), "late is 0.5: expected"),  # type: ignore[arg-type]
        (lambda: Supervisor(snapshots=5), "snapshots is 5: expected"),  # type: ignore[arg-type]
        (lambda: Supervisor(recovery=POLICY), "recovery is RecoveryPolicy.*: expected"),  # type: ignore[arg-type]
        (
            lambda: Supervisor(
                recovery=RecoveryManager(chance=lambda: 0.5),
                rules=[Rule(name="it", cause=UNMATCHED.cause, fault_class=UNMATCHED.fault_class)],
            ),
            "recovery and rules are both given",
        ),
    ],
)
def test_what_is_made_of_wrong_parts_is_refused(make: Callable[[], object], told: str) -> None:
    """At once, and not when it is used."""
    with pytest.raises(UsageError, match=told):
        make()


def test_a_second_component_of_a_name_is_refused_with_the_mend() -> None:
    """Nothing of the first has changed."""
    first = FakeComponent()

    async def scene(supervisor: Supervisor, _: FakeClock) -> None:
        await supervisor.add("it", first)
        with pytest.raises(UsageError, match="'it' exists already: take another name, or remove"):
            await supervisor.add("it", forever)

    supervised(scene)
    assert first.told == ["start 1", "teardown 1"]
