import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream_manager.api import Verb, tcp_socket, unix_socket
from stream_manager.api.app import create_app
from stream_manager.api.guard import is_loopback
from stream_manager.api.serve import serve
from stream_manager.errors import OutsideError, UsageError
from stream_manager.store import Entry, lock_directory

STREAM = {
    "id": "front-door",
    "state": "backing_off",
    "health": "unhealthy",
    "pid": None,
    "abandoned": [],
    "epoch": 3,
    "restarts_total": 7,
    "attempt": 2,
    "next_attempt_in_s": 1.5,
    "waits_for": "host:10.0.0.5",
    "last_fault": {
        "at": "2026-01-31T23:59:59Z",
        "cause": "network",
        "class": "recoverable",
        "code": "ECONNREFUSED",
        "message": "connection refused",
    },
    "uptime_s": None,
    "availability": 0.5,
    "outage_s_total": 60.0,
    "mttr_s": None,
    "media": {"frames": 0, "bytes": 0, "last_at": None, "fps": None, "bitrate_bps": None},
    "usage": {
        "memory_bytes": 25_000_000,
        "memory_limit_bytes": None,
        "restart_above_bytes": 150 * 2**20,
        "restart_due": False,
        "descriptors": 18,
        "threads": 7,
    },
    "outputs": [
        {
            "id": "record",
            "kind": "record",
            "pid": 4711,
            "state": "stopped",
            "health": None,
            "waits_for": None,
            "segment": "a.ts",
        }
    ],
}
STATUS = {
    "manager": {
        "pid": 1,
        "uptime_s": 2.0,
        "version": "0.1.0",
        "state_dir": None,
        "store": None,
        "loop": {"lag_s": 0.001, "lag_worst_s": 0.02},
        "tasks": [
            {
                "id": "api",
                "state": "running",
                "restarts_total": 1,
                "attempt": 1,
                "next_attempt_in_s": None,
                "last_fault": None,
            }
        ],
        "index": None,
    },
    "streams": [STREAM],
    "domains": [
        {
            "domain": "host:10.0.0.5",
            "state": "open",
            "cause": "network",
            "since": "2026-01-31T23:59:58.000Z",
            "members": 4,
            "waiting": 3,
            "probe": "front-door/source",
            "next_probe_in_s": None,
        }
    ],
    "pressure": {},
}
ENTRY = Entry(
    seq=5,
    because=None,
    at=datetime(2026, 1, 31, tzinfo=UTC),
    stream="front-door",
    component="source",
    epoch=3,
    event="Failed",
    rule="backoff",
    cause="network",
    fault_class="recoverable",
    code="ECONNREFUSED",
    message="connection refused",
    before="running",
    after="backing_off",
    attempt=2,
    next_attempt_at=None,
    saw={"delay_s": 1.5},
    actions=("stop source epoch 3",),
)


RELOADED: dict[str, Any] = {
    "added": ["garden"],
    "changed": [],
    "removed": [],
    "unchanged": ["front-door"],
    "warnings": ["a warning"],
}


@dataclass
class Manager:
    """A service that notes what it was asked."""

    asked: list[tuple[object, ...]] = field(default_factory=list)
    polled: asyncio.Event = field(default_factory=asyncio.Event)

    def stream_ids(self) -> Sequence[str]:
        """Have two streams."""
        return ("front-door", "car-park")

    def status(self) -> dict[str, Any]:
        """Return a status with every kind of value."""
        return STATUS

    async def explain(self, stream: str) -> dict[str, Any]:
        """Say one sentence."""
        return {
            "stream": stream,
            "state": "backing_off",
            "health": None,
            "sentences": [f"{stream} waits"],
            "components": [],
            "tried": [],
        }

    async def command(self, stream: str, verb: Verb) -> None:
        """Refuse to start what runs."""
        if verb == "start":
            raise UsageError(f"{stream} is running already")
        self.asked.append((stream, verb))

    async def journal(
        self, stream: str | None, after: int | None, limit: int, wait_s: float
    ) -> list[Entry]:
        """Have one entry, and wait for ever for the next."""
        self.asked.append((stream, after, limit, wait_s))
        if stream not in (None, ENTRY.stream, "removed"):
            return []
        if after == ENTRY.seq:
            self.polled.set()
            await asyncio.Event().wait()
        return [ENTRY]

    async def reload(self) -> dict[str, Any]:
        """Refuse the second one."""
        if ("reload",) in self.asked:
            raise UsageError("cameras.toml:3: found a mistake, expected none")
        self.asked.append(("reload",))
        return RELOADED

    def shutdown(self) -> None:
        """Note it."""
        self.asked.append(("shutdown",))


@asynccontextmanager
async def served(manager: Manager, listener: socket.socket) -> AsyncIterator[httpx.AsyncClient]:
    """Serve `manager` on a real TCP socket and yield a client of it."""
    serving = asyncio.create_task(serve(create_app(manager, reload=manager.reload), [listener]))
    host, port = listener.getsockname()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        yield client
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


Ask = Callable[[Manager, Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def ask() -> Ask:
    """Run a client's script against a manager served on TCP."""

    def run(manager: Manager, script: Callable[[httpx.AsyncClient], Any]) -> Any:  # noqa: ANN401 - whatever the script returns
        async def main() -> object:
            async with served(manager, tcp_socket("127.0.0.1", 0)) as client:
                return await script(client)

        return asyncio.run(main())

    return run


def test_status_is_what_the_manager_says(ask: Ask) -> None:
    """The contract's fields go out as they are, with the outputs' own fields."""
    answer = ask(Manager(), lambda client: client.get("/api/v1/status"))
    assert answer.status_code == 200
    assert answer.json() == STATUS


def test_explain_and_commands_reach_the_manager(ask: Ask) -> None:
    """Each verb arrives with its stream, and shutdown without one."""
    manager = Manager()

    async def script(client: httpx.AsyncClient) -> None:
        explained = await client.get("/api/v1/streams/car-park/explain")
        assert explained.json()["sentences"] == ["car-park waits"]
        for verb in ("restart", "stop", "reset"):
            answer = await client.post(f"/api/v1/streams/car-park/{verb}")
            assert answer.status_code == 202
        assert (await client.post("/api/v1/shutdown")).status_code == 202

    ask(manager, script)
    assert manager.asked == [
        ("car-park", "restart"),
        ("car-park", "stop"),
        ("car-park", "reset"),
        ("shutdown",),
    ]


def test_a_senseless_command_is_refused_with_the_reason(ask: Ask) -> None:
    """A UsageError becomes 409 with its own words."""
    answer = ask(Manager(), lambda client: client.post("/api/v1/streams/car-park/start"))
    assert answer.status_code == 409
    assert answer.json() == {"detail": "car-park is running already"}


def test_a_reload_answers_what_it_did_or_why_it_was_refused(ask: Ask) -> None:
    """Whoever changed the file learns it without a look into the log."""

    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/v1/reload")
        assert (answer.status_code, answer.json()) == (200, RELOADED)
        answer = await client.post("/api/v1/reload")
        assert answer.status_code == 409
        assert answer.json() == {"detail": "cameras.toml:3: found a mistake, expected none"}

    ask(Manager(), script)


def test_an_unknown_stream_is_named_beside_those_there_are(ask: Ask) -> None:
    """A typing error is answered with what could have been meant."""
    manager = Manager()
    expected = {"detail": 'no stream "x"; there are: front-door, car-park'}

    async def script(client: httpx.AsyncClient) -> None:
        for answer in (
            await client.get("/api/v1/streams/x/explain"),
            await client.post("/api/v1/streams/x/stop"),
        ):
            assert (answer.status_code, answer.json()) == (404, expected)

    ask(manager, script)
    assert manager.asked == []


def test_the_journal_is_asked_for_as_the_client_says(ask: Ask) -> None:
    """Filters reach the manager and entries come out as plain JSON."""
    manager = Manager()
    answer = ask(
        manager,
        lambda client: client.get("/api/v1/journal?stream=front-door&after=4&limit=7&wait_s=2.5"),
    )
    assert manager.asked == [("front-door", 4, 7, 2.5)]
    assert answer.json() == [ENTRY.to_json()]
    assert answer.json()[0]["at"] == "2026-01-31T00:00:00.000000Z"


def test_the_journal_of_an_unknown_stream_is_no_empty_journal(ask: Ask) -> None:
    """A typing error is told at once; a new stream and one that is gone have their journals."""

    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/journal?stream=x&after=5&wait_s=25")
        assert answer.status_code == 404
        assert answer.json() == {"detail": 'no stream "x"; there are: front-door, car-park'}
        assert (await client.get("/api/v1/journal?stream=car-park")).json() == []
        assert (await client.get("/api/v1/journal?stream=removed")).json() == [ENTRY.to_json()]

    ask(Manager(), script)


@pytest.mark.parametrize("query", ["wait_s=26", "limit=0", "limit=1001", "after=-1", "after=x"])
def test_senseless_journal_questions_are_refused(ask: Ask, query: str) -> None:
    """Bounds on pages and polls hold."""
    answer = ask(Manager(), lambda client: client.get(f"/api/v1/journal?{query}"))
    assert answer.status_code == 422


def test_a_long_poll_ends_when_serving_ends() -> None:
    """The manager's end answers whoever waits, and doesn't wait for them."""

    async def main() -> httpx.Response:
        manager = Manager()
        listener = tcp_socket("127.0.0.1", 0)
        port = listener.getsockname()[1]
        serving = asyncio.create_task(serve(create_app(manager, reload=manager.reload), [listener]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.get("/api/v1/status")
            poll = asyncio.create_task(client.get("/api/v1/journal?after=5&wait_s=25"))
            await manager.polled.wait()
            serving.cancel()
            answer = await poll
        with pytest.raises(asyncio.CancelledError):
            await serving
        return answer

    assert asyncio.run(main()).json() == []


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {"host": "localhost:8080"}, 200),
        ("GET", {"host": "rebound.example"}, 403),
        ("GET", {"host": "127.0.0.1.example:80"}, 403),
        ("POST", {"origin": "http://127.0.0.1"}, 403),
        ("POST", {"origin": "null"}, 403),
    ],
)
def test_web_pages_cannot_reach_the_manager(
    ask: Ask, method: str, headers: dict[str, str], expected: int
) -> None:
    """Neither a rebound name nor a form on another site gets through a browser."""
    manager = Manager()
    path = "/api/v1/status" if method == "GET" else "/api/v1/shutdown"
    answer = ask(manager, lambda client: client.request(method, path, headers=headers))
    assert answer.status_code == expected
    assert manager.asked == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]:8080", True),
        ("LocalHost", True),
        ("", False),
        ("[::1", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("10.0.0.1:8080", False),
    ],
)
def test_loopback_hosts(host: str, *, expected: bool) -> None:
    """Only names and addresses of this machine count as such."""
    assert is_loopback(host) is expected


def test_the_unix_socket_is_private_and_may_lie_deep(tmp_path: Path) -> None:
    """A path beyond the kernel's 107 bytes works, a stale socket is replaced, nobody else reads."""
    runtime = lock_directory(tmp_path / ("d" * 100) / "run")
    unix_socket(runtime).close()
    listener = unix_socket(runtime)
    path = runtime.directory / "api.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def main() -> httpx.Response:
        descriptor = os.open(runtime.directory, os.O_PATH)
        try:
            address = f"/proc/self/fd/{descriptor}/api.sock"
            transport = httpx.AsyncHTTPTransport(uds=address)
            serving = asyncio.create_task(
                serve(create_app(Manager(), reload=Manager().reload), [listener])
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                answer = await client.get("/api/v1/status", headers={"host": "manager"})
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            return answer
        finally:
            os.close(descriptor)

    assert asyncio.run(main()).status_code == 200
    runtime.release()


def test_an_address_that_is_taken_is_named() -> None:
    """The error says where it could not listen, and why."""
    with tcp_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutsideError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            tcp_socket("127.0.0.1", port)


def test_a_socket_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    """Something else in the socket's place is left alone and said."""
    runtime = lock_directory(tmp_path)
    (tmp_path / "api.sock").mkdir()
    with pytest.raises(OutsideError, match=r"can't listen at .*/api\.sock: Is a directory"):
        unix_socket(runtime)
    runtime.release()
