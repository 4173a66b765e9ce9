import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from stream_manager.errors import OutsideError
from stream_manager.lab import camera_keeper
from stream_manager.lab.camera_faults import CAMERA_FAULTS
from stream_manager.lab.camera_keeper import Keeper
from stream_manager.lab.camera_plan import Plan
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.picture import Picture
from stream_manager.lab.record import Fact

DEADLINE_S = 10.0
PLAN = Plan(
    mounts=("cam",),
    bind="127.0.0.1",
    port=0,
    clip=None,
    picture=Picture(),
    user=None,
    password=None,
    auth="digest",
    board=-1,
)


class Silent:
    """A camera's process that tells nothing."""

    pid = 1
    ready = frozen = over = False
    on_kill: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, _: Plan) -> None:
        self._pipe = os.pipe()
        self._open = True

    def fileno(self) -> int:
        """Return what never becomes readable."""
        return self._pipe[0]

    def tell(self, line: str) -> None:
        """Take no notice."""

    def read(self) -> Iterator[Fact | int]:
        """Yield nothing."""
        return iter(())

    def kill(self) -> None:
        """Let the test do something meanwhile."""
        type(self).on_kill()

    def close(self) -> None:
        """Give the pipe back."""
        if self._open:
            self._open = False
            for descriptor in self._pipe:
                os.close(descriptor)


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let keepers own silent cameras."""
    monkeypatch.setattr(camera_keeper, "CameraProcess", Silent)


def test_what_is_ordered_during_and_after_a_stop_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for an answer of a camera that was stopped."""
    keeper = Keeper(PLAN, (), lambda _: None)
    asked: list[Future[None]] = []
    with ThreadPoolExecutor() as others:
        waiting = others.submit(keeper.wait_until_ready, DEADLINE_S)
        monkeypatch.setattr(
            Silent, "on_kill", lambda: asked.append(others.submit(keeper.order, "drop"))
        )
        keeper.stop()
        for future in (waiting, *asked):
            with pytest.raises(OutsideError, match="the camera was stopped"):
                future.result(DEADLINE_S)
    assert asked
    with pytest.raises(OutsideError, match="the camera was stopped"):
        keeper.order("drop")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_record_that_can_not_be_written_leaves_nobody_waiting() -> None:
    """When the keeper's thread ends by an error, whoever ordered is told, and so are the next."""

    def full(_: Fact) -> None:
        raise OSError("full")

    keeper = Keeper(PLAN, (), full)
    for _ in range(2):
        with pytest.raises(OutsideError, match="the camera was stopped"):
            keeper.order("die")
    keeper.stop()


def test_of_a_fault_ordered_twice_at_the_start_the_last_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The camera is told of that one alone; one that is to come later is not touched."""
    told: list[str] = []
    monkeypatch.setattr(Silent, "tell", lambda _, line: told.append(line))
    lines = ("stutter gap=1s", "stutter gap=2s", "stutter gap=3s after=5s")
    orders = [order for line in lines if isinstance(order := parse(line, CAMERA_FAULTS), Order)]
    Keeper(PLAN, orders, lambda _: None).stop()
    assert told == ["begin stutter gap=2s", "listen"]
