"""A worker that outlived its manager, as the next one's stream takes it over."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from tests.unit.streams.simulated import Lives, Simulation

from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    VERSION,
    Attend,
    Hello,
    Quit,
    Standing,
    StartRecord,
    StartSource,
    StopPart,
    ToWorker,
)
from stream_manager.recovery import Failed, Fault, Phase
from stream_manager.streams.meeting import Met
from stream_manager.testing import settle

_decoder = msgspec.msgpack.Decoder(ToWorker)
HUNG = Fault(origin="health", code="hang")
SOURCE = Standing(part="source", epoch=1, ending=False)
RECORD = Standing(part="record", epoch=1, ending=False)


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    """Give a stream whose managers a test kills."""
    return Lives(tmp_path)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that stands for the worker."""
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        yield sleeping
        sleeping.kill()


class Worker:
    """The worker's end of the connection: what it says, and what it is ordered."""

    def __init__(self, process: subprocess.Popen[bytes], *parts: Standing, epoch: int = 1) -> None:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs.setblocking(False)
        hello = Hello(
            version=VERSION,
            instance="test",
            stream="cam",
            epoch=epoch,
            pid=process.pid,
            digest="d1",
            parts=parts,
            last_media_s=1.0,
        )
        pidfd = os.pidfd_open(process.pid)
        self.met = Met(hello=hello, path="/nonexistent", connection=ours, pidfd=pidfd)

    def orders(self) -> list[ToWorker]:
        """Return what it was ordered since the last call."""
        found = []
        while True:
            try:
                found.append(_decoder.decode(self._theirs.recv(MAX_PACKET_BYTES)))
            except BlockingIOError:
                return found

    def close(self) -> None:
        """Close our end."""
        self._theirs.close()


@asynccontextmanager
async def adopted(it: Simulation, worker: Worker) -> AsyncIterator[None]:
    """Let the stream adopt it."""
    it.stream.adopt(worker.met)
    await settle()
    try:
        yield
    finally:
        worker.close()


@asynccontextmanager
async def proven(
    lives: Lives, process: subprocess.Popen[bytes]
) -> AsyncIterator[tuple[Simulation, Worker]]:
    """Let the next manager adopt a worker that runs all, and media prove it."""
    async with lives.life() as it:
        worker = Worker(process, SOURCE, RECORD)
        async with adopted(it, worker):
            await it.source_starts()
            await it.flow(2.0)
            yield it, worker


async def run_and_kill(lives: Lives) -> None:
    """Let a manager run the stream until it is proven, and end."""
    async with lives.life() as it:
        await it.start()
        await it.flow(2.0)


def test_what_runs_is_told_to_nobody_but_the_journal(
    lives: Lives, process: subprocess.Popen[bytes]
) -> None:
    """Nothing is ordered, the index sees no end and no start, and media proves it as ever."""

    async def script() -> None:
        await run_and_kill(lives)
        async with proven(lives, process) as (it, worker):
            assert worker.orders() == [Attend(orphan_grace_s=None)]
            assert set(it.phases().values()) == {Phase.RUNNING}
            assert it.index.told == ["adopted"]
            assert it.stream.history.outages.current is None
            assert it.record("source").epoch == 1
            rules = [(d.id, d.rule) for d in it.decisions]
            assert rules[0] == ("cam", "adopted")
            assert ("cam/record", "adopted") in rules

    asyncio.run(script())


def test_a_part_that_is_missing_is_started(lives: Lives, process: subprocess.Popen[bytes]) -> None:
    """It was decided to start it, and the order was never sent; its next run is another one."""

    async def script() -> None:
        await run_and_kill(lives)
        async with lives.life() as it:
            worker = Worker(process)
            async with adopted(it, worker):
                await settle()
                attend, order = worker.orders()
                assert isinstance(attend, Attend)
                assert isinstance(order, StartSource)
                assert order.epoch == 2
                await it.source_starts()
                (order,) = worker.orders()
                assert isinstance(order, StartRecord)

    asyncio.run(script())


def test_a_teardown_that_was_decided_is_ordered_again(
    lives: Lives, process: subprocess.Popen[bytes]
) -> None:
    """The order may have died with the manager; what is retold of the fault charges nothing."""

    async def script() -> None:
        await run_and_kill(lives)
        async with proven(lives, process) as (it, worker):
            await it.part_fails("connect", "ECONNREFUSED")
            assert it.phases()["cam/source"] is Phase.TEARING_DOWN
            charged = it.record("source").charged
        async with lives.life() as it:
            worker = Worker(process, SOURCE, RECORD)
            async with adopted(it, worker):
                orders = worker.orders()
                assert [it.part for it in orders if isinstance(it, StopPart)] == ["source"]
                await it.part_fails("connect", "ECONNREFUSED")
                await it.part_gone("source")
                assert it.phases()["cam/source"] in {Phase.BACKING_OFF, Phase.STARTING}
                assert it.record("source").charged == charged

    asyncio.run(script())


def test_a_worker_that_was_to_be_replaced_is_replaced(
    lives: Lives, process: subprocess.Popen[bytes]
) -> None:
    """Its parts are not taken over: they go down with it."""

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.flow(2.0)
            it.stream.post(Failed(id="cam", epoch=1, fault=HUNG))
            await settle()
        async with lives.life() as it:
            worker = Worker(process, SOURCE, RECORD)
            async with adopted(it, worker):
                assert any(isinstance(order, Quit) for order in worker.orders())
                assert it.phases()["cam"] is Phase.TEARING_DOWN
                assert it.phases()["cam/source"] is Phase.PARKED

    asyncio.run(script())


def test_what_does_not_suit_is_told_apart(lives: Lives, process: subprocess.Popen[bytes]) -> None:
    """An epoch that was left behind, and a part that is not configured."""

    async def script() -> None:
        await run_and_kill(lives)
        async with lives.life() as it:
            for worker, suits in (
                (Worker(process, SOURCE, RECORD), True),
                (Worker(process, SOURCE, RECORD, epoch=2), True),
                (Worker(process, SOURCE, RECORD, epoch=0), False),
                (Worker(process, Standing(part="source", epoch=0, ending=False)), False),
                (Worker(process, Standing(part="other", epoch=1, ending=False)), False),
            ):
                assert it.stream.suits(worker.met.hello) is suits
                worker.met.close()
                worker.close()

    asyncio.run(script())
