"""The control process as a whole, where something it starts does not come up."""

import asyncio
import os
import signal
import socket
from importlib import import_module
from pathlib import Path

import pytest

from stream_manager.config import Configuration, ManagerSettings
from stream_manager.streams.serve import serve

WITHIN_S = 20.0


def test_an_api_that_ends_at_once_does_not_keep_the_service_from_being_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The streams go on without it, so systemd must not end them for want of a READY."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    async def fail(*_: object) -> None:
        raise OSError("no more sockets")

    monkeypatch.setattr(import_module("stream_manager.api.serve"), "serve", fail)
    configuration = Configuration(
        manager=ManagerSettings(
            state_dir=tmp_path / "state", runtime_dir=tmp_path / "run", listen=None
        ),
        streams=(),
        volumes=(),
        warnings=(),
    )

    async def live(systemd: socket.socket) -> int:
        hear = asyncio.get_running_loop().sock_recv
        running = asyncio.create_task(serve(configuration, reload=lambda: configuration))
        async with asyncio.timeout(WITHIN_S):
            while await hear(systemd, 4096) != b"READY=1":
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            code: int = await running
            return code

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        assert asyncio.run(live(systemd)) == 0
