"""A breaker before a real HTTP server that is stopped and started again."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.integration.waiting import wait_for

from stream_manager.errors import CircuitOpenError
from stream_manager.recovery import BreakerState, Transition, Trigger
from stream_manager.supervision import CircuitBreaker

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN = BreakerState
OPEN_S = 0.4

pytestmark = pytest.mark.media


class Server:
    """The standard library's HTTP server in a process; its port stays the same in each life."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.socket()) as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it accepts."""
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder
        )
        wait_for(self.accepts)

    def stop(self) -> None:
        """Kill it, and return when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def accepts(self) -> bool:
        """Tell whether somebody listens."""
        with closing(socket.socket()) as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self) -> int:
        """Return the status of a request. Raises OSError (URLError is one)."""
        url = f"http://127.0.0.1:{self.port}/"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that runs; whatever a test does with it, it is gone afterwards."""
    it = Server(tmp_path)
    it.start()
    yield it
    it.stop()


def test_a_breaker_before_a_server_that_stops_and_comes_back(server: Server) -> None:
    """It opens after three refusals, rejects without a connection, probes, reopens, and closes."""
    breaker = CircuitBreaker("http", consecutive_failures=3, open_s=OPEN_S, open_cap_s=OPEN_S)
    heard: list[Transition] = []
    breaker.on_transition(heard.append)
    get = breaker(server.get)
    assert get() == 200
    server.stop()
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            get()
    assert breaker.state is OPEN
    began_s = time.monotonic()
    with pytest.raises(CircuitOpenError) as caught:
        get()
    assert time.monotonic() - began_s < OPEN_S / 2
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= OPEN_S
    assert "refused" in (caught.value.last_cause or "")

    # Still away when the first probe comes: it is one request, and it reopens.
    def probed() -> bool:
        with suppress(CircuitOpenError):
            with pytest.raises(OSError, match="refused"):
                get()
            return True
        return False

    wait_for(probed)
    with pytest.raises(CircuitOpenError):
        get()
    server.start()

    def back() -> bool:
        with suppress(CircuitOpenError):
            assert get() == 200
        return breaker.state is CLOSED

    wait_for(back)
    assert [it.trigger for it in heard] == [
        Trigger.CONSECUTIVE,
        Trigger.OPEN_TIME_OVER,
        Trigger.PROBE_FAILED,
        Trigger.OPEN_TIME_OVER,
        Trigger.PROBES_SUCCEEDED,
    ]
    assert [get() for _ in range(3)] == [200] * 3


def test_of_twenty_tasks_one_asks_the_server_that_came_back(server: Server) -> None:
    """The others are rejected while the probe's request is under way."""
    breaker = CircuitBreaker("http", consecutive_failures=3, open_s=OPEN_S, open_cap_s=OPEN_S)
    asked = 0

    @breaker
    async def get() -> int:
        nonlocal asked
        asked += 1
        return await asyncio.to_thread(server.get)

    async def crowd() -> list[int | BaseException]:
        return await asyncio.gather(*(get() for _ in range(20)), return_exceptions=True)

    server.stop()
    refused = asyncio.run(crowd())
    assert all(isinstance(it, OSError) for it in refused)
    assert breaker.late_results == 17  # the fourth and all later refusals changed nothing
    server.start()
    asked = 0
    answers: list[int | BaseException] = []
    while not asked:  # until then all twenty are rejected
        answers = asyncio.run(crowd())
    assert asked == 1
    assert answers.count(200) == 1
    assert sum(isinstance(it, CircuitOpenError) for it in answers) == 19
    assert breaker.state is HALF_OPEN
    assert asyncio.run(crowd()).count(200) == 1
    assert breaker.state is CLOSED
    assert asyncio.run(crowd()) == [200] * 20
