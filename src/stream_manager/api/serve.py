"""Runs the application inside the manager's own event loop, as one task among others."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

GRACE_S = 1


class _Server(uvicorn.Server):
    """Says when it answers, and leaves the process's signals to the manager."""

    def __init__(self, config: uvicorn.Config, answering: asyncio.Event) -> None:
        super().__init__(config)
        self._answering = answering
        self._sockets: list[socket.socket] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._sockets = sockets
        await super().startup(sockets)
        self._answering.set()

    async def main_loop(self) -> None:
        try:
            await super().main_loop()
        except Exception:
            # Else its listeners and connections would go on beside those of the next server.
            await self.shutdown(self._sockets)
            raise

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, sockets: Sequence[socket.socket]) -> None:
    """Answer on the given bound sockets until cancelled; then end polls, finish, and close them."""
    server = _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
        ),
        app.state.answering,
    )
    serving = asyncio.create_task(server.serve(list(sockets)), name="api")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        app.state.closing.set()
        server.should_exit = True
        await serving
        raise
