"""An isolated output: in what order its two ends begin and end. The test is both processes."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from msgspec import Struct
from tests.unit.streams.simulated import AUDIO, VIDEO, Findings, settings_of

from stream_manager.config import Limits
from stream_manager.pipelines.messages import (
    FeedReady,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    Spawn,
    StartCustom,
    StartFeed,
    StartSource,
    StopPart,
)
from stream_manager.pipelines.spec import CustomSpec, FeedSource
from stream_manager.recovery import Action, Event, Failed, Fault, Gone, Start, Started, Stop
from stream_manager.store import Store
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.isolated import IsolatedOutput, order_of
from stream_manager.streams.limits import KernelMemory
from stream_manager.streams.oom import OutOfMemoryWatch
from stream_manager.streams.snapshots import Snapshots
from stream_manager.streams.upkeep import Means
from stream_manager.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_manager.evidence import Keeper
    from stream_manager.streams.launcher import Launcher
    from stream_manager.streams.worker import Worker

EYES = CustomSpec(id="eyes", description="fakesink", isolate=True)
START = Start(id="cam/eyes", epoch=7, restore=True, deadline_s=15.0)
STOP = Stop(id="cam/eyes", epoch=7, grace_s=2.0)


class Heard:
    """Stands for a worker: keeps what it is told and asked."""

    def __init__(self) -> None:
        self.reachable = True
        self.pid: int | None = 4711
        self.sent: list[Struct] = []
        self.begun: list[Action] = []

    def send(self, message: Struct) -> bool:
        """Take a message."""
        self.sent.append(message)
        return self.reachable

    def begin(self, action: Action) -> None:
        """Take an action."""
        self.begun.append(action)


class Rig:
    """The output, between a stream's worker (`host`) and its own (`own`)."""

    def __init__(self, folder: Path, store: Store, clock: FakeClock) -> None:
        self.posted: list[Event] = []
        self.judged: list[int] = []
        self.host = Heard()
        self.own = Heard()
        kernel = KernelMemory(
            cgroups=Cgroups(None), oom=OutOfMemoryWatch(clock, Path("/nonexistent"))
        )
        stream = Spawn(
            stream="cam", instance="i", epoch=0, digest="", socket_path="", log_path="/logs/cam.log"
        )
        self.order = order_of(EYES, stream)
        self.output = IsolatedOutput(
            EYES,
            self.order,
            host=cast("Worker", self.host),
            limits=Limits(),
            snapshots=Snapshots(settings_of(), store=store, clock=clock),
            means=Means(
                launcher=cast("Launcher", None),
                kernel=kernel,
                evidence=cast("Keeper", Findings()),
                store=store,
                clock=clock,
                socket_dir=folder,
            ),
            post=self.posted.append,
            judge=lambda _id, progress, _at_s: self.judged.append(progress.bytes),
        )
        self.output.worker = cast("Worker", self.own)

    def feed_ready(self, epoch: int = 7) -> None:
        """Say that the stream's worker listens."""
        ready = FeedReady(part="eyes", epoch=epoch, tracks=2, base_time_ns=5)
        self.output.fed(ready)

    def start(self) -> None:
        """Come as far as a process that plays the feed."""
        self.output.begin(START)
        self.feed_ready()
        self.output.post(Started(id="cam/eyes", epoch=7))


@pytest.fixture
def rig(tmp_path: Path) -> "Iterator[Rig]":
    """Return an output that is stopped."""
    clock = FakeClock()
    store = Store.open(tmp_path, clock=clock, on_fault=lambda _: None)
    yield Rig(tmp_path, store, clock)
    store.close()


def test_it_has_a_name_and_a_log_of_its_own(rig: Rig) -> None:
    """Of the stream, but no other stream's: no id holds a slash or a dot."""
    assert (rig.order.stream, rig.order.log_path) == ("cam/eyes", "/logs/cam.eyes.log")


@pytest.mark.parametrize("feed_first", [True, False])
def test_the_process_plays_the_feed_once_both_are_there(rig: Rig, *, feed_first: bool) -> None:
    """Whichever comes first; then its source has the output started, and that counts."""
    output = rig.output
    output.begin(START)
    (feed,) = rig.host.sent
    assert isinstance(feed, StartFeed)
    assert (feed.part, feed.epoch, rig.own.begun) == ("eyes", 7, [START])

    def connected() -> None:
        output.post(Started(id="cam/eyes", epoch=7))

    first, second = (rig.feed_ready, connected) if feed_first else (connected, rig.feed_ready)
    first()
    assert rig.own.sent == []
    second()
    source = FeedSource(path=feed.path, tracks=2, base_time_ns=5)
    assert rig.own.sent == [StartSource(epoch=7, source=source, hold=True)]
    output.hear(PartStarted(part="source", epoch=7, tracks=(VIDEO, AUDIO)))
    assert rig.own.sent[1:] == [StartCustom(epoch=7, output=EYES)]
    assert rig.posted == []
    output.hear(PartStarted(part="eyes", epoch=7))
    assert rig.posted == [Started(id="cam/eyes", epoch=7)]


def test_what_it_takes_is_judged(rig: Rig) -> None:
    """By its own process's report: what the feed handed on proves nothing."""
    rig.start()
    taken = OutputProgress(part="eyes", epoch=7, bytes=9, first_s=1.0, last_s=2.0)
    rig.output.hear(Progress(at_s=2.0, late_s=0.0, epoch=7, tracks=(), outputs=(taken,)))
    assert (rig.judged, rig.output.taken) == ([9], taken)


def test_its_process_ends_before_its_feed(rig: Rig) -> None:
    """It is gone when both are."""
    rig.start()
    rig.output.begin(STOP)
    assert rig.own.begun[1:] == [STOP]
    assert len(rig.host.sent) == 1
    rig.output.post(Gone(id="cam/eyes", epoch=7))
    (stop,) = rig.host.sent[1:]
    assert isinstance(stop, StopPart)
    assert (stop.part, stop.epoch, rig.posted) == ("eyes", 7, [])
    rig.output.fed(PartGone(part="eyes", epoch=7))
    assert rig.posted == [Gone(id="cam/eyes", epoch=7)]
    rig.output.fed(PartGone(part="eyes", epoch=7))
    assert len(rig.posted) == 1


def test_without_its_host_it_is_killed_at_once(rig: Rig) -> None:
    """Nobody answers for the feed, and the stream waits for its end."""
    rig.start()
    rig.host.reachable = False
    rig.output.begin(STOP)
    assert rig.own.begun[1:] == [Stop(id="cam/eyes", epoch=7, grace_s=0.0)]
    rig.output.post(Gone(id="cam/eyes", epoch=7))
    assert rig.posted == [Gone(id="cam/eyes", epoch=7)]


def test_a_host_that_hangs_meanwhile_is_not_waited_for(rig: Rig) -> None:
    """Its end takes the feed along."""
    rig.start()
    rig.output.begin(STOP)
    rig.output.post(Gone(id="cam/eyes", epoch=7))
    rig.own.pid = None
    rig.output.look(lag_s=0.0, runs=False)
    assert rig.posted == []
    rig.host.reachable = False
    rig.output.look(lag_s=0.0, runs=False)
    assert rig.posted == [Gone(id="cam/eyes", epoch=7)]


def test_an_older_feed_is_nobodys_news(rig: Rig) -> None:
    """What is told of another epoch starts nothing and ends nothing."""
    rig.output.begin(START)
    rig.output.post(Started(id="cam/eyes", epoch=7))
    rig.feed_ready(epoch=6)
    assert rig.own.sent == []
    rig.output.begin(STOP)
    rig.output.post(Gone(id="cam/eyes", epoch=7))
    rig.output.fed(PartGone(part="eyes", epoch=6))
    assert rig.posted == []


def test_a_feed_that_hangs_is_told_as_it_is(rig: Rig) -> None:
    """One that does not let itself be torn down is no consequence of anything."""
    rig.start()
    rig.output.fed(PartFailed(part="eyes", epoch=7, origin="teardown", code="deadline", text="no"))
    fault = Fault(origin="teardown", code="deadline", text="no")
    assert rig.posted == [Failed(id="cam/eyes", epoch=7, fault=fault)]
