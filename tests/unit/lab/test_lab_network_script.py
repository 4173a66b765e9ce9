import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest

from stream_manager.clock import SystemClock
from stream_manager.errors import UsageError
from stream_manager.lab.faults import Order
from stream_manager.lab.network.facts import ConnectionFact, Fact, MediaFact
from stream_manager.lab.network.places import place, written
from stream_manager.lab.network.script import Script
from stream_manager.lab.network.witness import Witness
from stream_manager.lab.record import FaultFact, Phase
from stream_manager.testing import FakeClock

DEADLINE_S = 10.0


class Staged:
    """A script whose effects and whose record are kept."""

    def __init__(self) -> None:
        self.facts: list[FaultFact] = []
        self._changed = asyncio.Event()
        self.present: list[str] = []
        self.script = Script(SystemClock(), self.facts.append, self._change)

    def _change(self, orders: Iterable[Order]) -> None:
        self.present = [order.name for order in orders]
        self._changed.set()

    async def until(self, *present: str) -> None:
        """Return once these faults and no others are in force."""
        async with asyncio.timeout(DEADLINE_S):
            while self.present != list(present):
                self._changed.clear()
                await self._changed.wait()

    async def until_told(self, steps: int) -> None:
        """Return once so many steps stand in the record."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.facts) < steps:
                self._changed.clear()
                await self._changed.wait()

    def told(self) -> list[tuple[str, str]]:
        """Return name and phase of each fault in the record."""
        return [(fact.name, fact.phase.value) for fact in self.facts]


def test_faults_begin_and_are_healed() -> None:
    """Each line takes effect at once; heal ends the one it names, or all."""

    async def play() -> None:
        stage = Staged()
        for line in ("cut", "latency by=1s", "loss share=1%"):
            stage.script.obey(line)
        assert stage.present == ["cut", "latency", "loss"]
        stage.script.obey("heal latency")
        assert stage.present == ["cut", "loss"]
        stage.script.obey("heal")
        assert stage.present == []
        assert stage.told()[3:] == [("latency", "ended"), ("cut", "ended"), ("loss", "ended")]

    asyncio.run(play())


def test_a_fault_begins_after_its_wait_and_ends_by_itself() -> None:
    """`after` and `for` are kept, and both instants stand in the record."""

    async def play() -> None:
        stage = Staged()
        stage.script.obey("cut after=1ms for=1ms")
        assert stage.present == []
        await stage.until_told(2)  # a loop that is late takes both steps at once
        assert stage.told() == [("cut", "began"), ("cut", "ended")]
        assert stage.present == []

    asyncio.run(play())


def test_heal_calls_off_what_has_not_begun() -> None:
    """A fault that was only announced never comes after that."""

    async def play() -> None:
        stage = Staged()
        stage.script.obey("cut after=300ms")
        stage.script.obey("heal cut")
        stage.script.obey("loss share=1% after=400ms")
        await stage.until("loss")
        assert stage.told() == [("loss", "began")]

    asyncio.run(play())


def test_new_values_take_the_place_of_the_old_ones_and_their_end() -> None:
    """A fault that is ordered again goes on: the end of the first order is not its own."""

    async def play() -> None:
        stage = Staged()
        stage.script.obey("latency by=1s for=1ms")
        stage.script.obey("latency by=2s")
        stage.script.obey("cut after=2ms")
        await stage.until("latency", "cut")
        assert stage.told()[:3] == [("latency", phase) for phase in ("began", "ended", "began")]

    asyncio.run(play())


def test_a_wrong_line_changes_nothing() -> None:
    """It is refused, and the faults stay as they were."""

    async def play() -> None:
        stage = Staged()
        stage.script.obey("cut")
        for line in ("cut by=3", "heal loss", "flood"):
            with pytest.raises(UsageError):
                stage.script.obey(line)
        assert stage.present == ["cut"]
        assert stage.told() == [("cut", "began")]

    asyncio.run(play())


def test_media_that_goes_on_after_a_cut_is_told_anew() -> None:
    """Of each stretch of media the first and the last instant are told, whenever that is known."""
    clock = FakeClock()
    facts: list[Fact] = []
    witness = Witness(clock, facts.append, 7, "127.0.0.1:5")
    for now_s in (1000.0, 1001.0, 1002.0):
        clock.now_s = now_s
        witness.media()
    clock.now_s = 1003.0
    witness.media_ceased()
    clock.now_s = 1008.0
    witness.media()
    witness.met(ConnectionRefusedError(111, "Connect call failed"))
    witness.ended()
    began, *media, ended = facts
    assert isinstance(began, ConnectionFact)
    assert isinstance(ended, ConnectionFact)
    assert (began.phase, began.why) == (Phase.BEGAN, None)
    assert (ended.phase, ended.why) == (Phase.ENDED, "Connection refused")
    assert {fact.viewer for fact in (began, ended)} == {7}
    assert media == [
        MediaFact(at=began.at + timedelta(seconds=after_s), viewer=7, phase=phase)
        for after_s, phase in (
            (0.0, Phase.FIRST),
            (2.0, Phase.LAST),
            (8.0, Phase.FIRST),
            (8.0, Phase.LAST),
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8554", ("127.0.0.1", 8554)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("cam-1.local:554", ("cam-1.local", 554)),
        ("[::1]:8554", ("::1", 8554)),
    ],
)
def test_places_are_read_as_people_write_them(text: str, expected: tuple[str, int]) -> None:
    """Without a host it is loopback: nothing is open to others by default."""
    assert place("--listen", text) == expected
    assert written(expected) in (text, f"127.0.0.1:{text}")


@pytest.mark.parametrize(
    "text", ["", "cam", "cam:", ":8554", "::1:8554", "cam:70000", "rtsp://x:1"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    """The error names the option, the text and what was expected."""
    with pytest.raises(UsageError, match=r"^--to .*: expected HOST:PORT"):
        place("--to", text)
