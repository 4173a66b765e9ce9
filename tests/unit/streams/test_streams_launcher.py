"""What the fork server says, and what becomes of workers that nobody can watch."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import Attend, Exited, Serving, Spawned, encode
from stream_manager.streams.launcher import Forked, Launcher, SpawnRefused
from stream_manager.testing import FakeClock


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that stands for a worker."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def with_launcher(script: Callable[[Launcher], Coroutine[None, None, None]]) -> None:
    """Run a script with a launcher that has no server."""

    async def run() -> None:
        nowhere = Path("/nonexistent")
        await script(
            Launcher(
                socket_path=nowhere,
                registry_path=nowhere,
                log_path=nowhere,
                name="test",
                attend=Attend(orphan_grace_s=None),
                clock=FakeClock(),
            )
        )

    asyncio.run(run())


def born(worker: subprocess.Popen[bytes]) -> Spawned:
    """Return what the fork server says of a new worker."""
    return Spawned(stream="cam", epoch=1, pid=worker.pid)


def test_how_a_worker_ended_is_known_to_whoever_asks(worker: subprocess.Popen[bytes]) -> None:
    """Before or after the question; a signal is negative, and nothing is kept."""

    async def script(launcher: Launcher) -> None:
        order: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        launcher._pending["cam", 1] = order
        pidfd = os.pidfd_open(worker.pid)
        launcher._heard(born(worker), [pidfd])
        assert await order == Forked(pid=worker.pid, pidfd=pidfd)
        launcher._heard(Exited(stream="cam", epoch=1, pid=worker.pid, status=signal.SIGSEGV), [])
        assert await launcher.exit_code(worker.pid) == -signal.SIGSEGV
        assert launcher._statuses == {}
        os.close(pidfd)

    with_launcher(script)


def test_the_end_of_a_stranger_is_not_kept() -> None:
    """A status that nobody will ask for must not be taken for that of a later process."""

    async def script(launcher: Launcher) -> None:
        launcher._heard(Exited(stream="cam", epoch=1, pid=4242, status=0), [])
        assert launcher._statuses == {}

    with_launcher(script)


def test_an_end_that_nobody_saw_is_unknown(
    worker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork server that died took the statuses of its children with it."""
    monkeypatch.setattr("stream_manager.streams.launcher.STATUS_WITHIN_S", 0.01)

    async def script(launcher: Launcher) -> None:
        order: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        launcher._pending["cam", 1] = order
        launcher._heard(born(worker), [os.pidfd_open(worker.pid)])
        assert await launcher.exit_code(worker.pid) is None
        os.close((await order).pidfd)

    with_launcher(script)


def test_a_worker_that_nobody_waits_for_is_ended(worker: subprocess.Popen[bytes]) -> None:
    """Its order was given up: without a watcher it would record beside its successor."""

    async def script(launcher: Launcher) -> None:
        pidfd = os.pidfd_open(worker.pid)
        launcher._heard(born(worker), [pidfd])
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(pidfd)

    with_launcher(script)
    assert worker.wait(5) == -signal.SIGKILL


def test_a_worker_without_a_descriptor_is_refused(worker: subprocess.Popen[bytes]) -> None:
    """Out of descriptors the kernel drops what travels beside the packet; that is told."""

    async def script(launcher: Launcher) -> None:
        order: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        launcher._pending["cam", 1] = order
        launcher._heard(born(worker), [])
        with pytest.raises(SpawnRefused) as refusal:
            await order
        assert refusal.value.code == "EMFILE"

    with_launcher(script)
    assert worker.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize(("name", "taken"), [("test", True), ("an older one", False), ("", False)])
def test_a_fork_server_is_taken_over_if_it_is_as_ours_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, taken: bool
) -> None:
    """One of another version, and one that says nothing, are left to end with their workers."""
    monkeypatch.setattr("stream_manager.streams.launcher.NAME_WITHIN_S", 5.0 if name else 0.01)

    async def script() -> None:
        path = tmp_path / "forkserver.sock"
        launcher = Launcher(
            socket_path=path,
            registry_path=path,
            log_path=path,
            name="test",
            attend=Attend(orphan_grace_s=None),
            clock=FakeClock(),
        )
        await launcher.find()  # nobody serves: nothing happens
        with sockets.listen(str(path)) as listener:
            finding = asyncio.create_task(launcher.find())
            await asyncio.sleep(0)
            connection, _ = listener.accept()
            with connection:
                if name:
                    connection.send(encode(Serving(name=name)))
                await finding
                connection.settimeout(0.0 if taken else 5.0)
                if taken:
                    launcher.expect(42)
                    exited = Exited(stream="cam", epoch=1, pid=42, status=signal.SIGSEGV)
                    connection.send(encode(exited))
                    assert await launcher.exit_code(42) == -signal.SIGSEGV
                    launcher.leave()
                    connection.settimeout(5.0)
                assert connection.recv(1) == b""
        await launcher.close()
        assert path.exists() is taken  # what was left is for the next manager

    asyncio.run(script())
