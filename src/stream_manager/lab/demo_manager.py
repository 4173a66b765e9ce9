"""The manager of the demo: the real command in its own process, asked through its API."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from stream_manager.errors import OutsideError
from stream_manager.lab.demo_results import CONFIG, LOG, Json

ANSWER_WITHIN_S = 5.0
# What the product promises is 5 s; after that a second signal ends it at once.
STOP_WITHIN_S = 10.0


class Manager:
    """`stream-manager run` on the configuration in `folder`, a path from the working directory.

    `program` is the command itself. Use it as an asynchronous context manager: the process ends
    with it, and also when its owner is killed.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        # A relative path: longer ones than 107 bytes are no addresses of sockets.
        transport = httpx.AsyncHTTPTransport(uds=str(folder / "run" / "api.sock"))
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://manager/api/v1/", timeout=ANSWER_WITHIN_S
        )

    async def __aenter__(self) -> Self:
        """Start it. Raises OutsideError if the command can't be executed."""
        await self._stack.enter_async_context(self._http)
        log = self._stack.enter_context((self._folder / LOG).open("wb"))
        # In a process group of its own it is spared a terminal's Ctrl-C and ends in due order;
        # setpriv lets the kernel end it if this process is killed.
        command = ("setpriv", "--pdeathsig", "TERM", str(self._program), "run")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(*command, str(self._folder / CONFIG)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        except OSError as error:
            await self._stack.aclose()
            raise OutsideError(f"the manager can't be started: {error}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.stop()
        finally:
            await self._stack.aclose()

    async def stop(self) -> None:
        """End it with SIGTERM, as an operator would; does nothing if it has ended."""
        process = self._process
        assert process is not None
        while process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                continue

    async def status(self) -> Json | None:
        """Return what `status --json` shows, or None while nobody answers yet.

        Raises OutsideError once the manager has ended by itself.
        """
        try:
            answer: Json = await self._get("status")
        except httpx.TransportError:
            self._check()
            return None
        return answer

    async def journal(self, *, after: int) -> list[Json]:
        """Return the entries that follow the one with that number; none while nobody answers."""
        try:
            entries: list[Json] = await self._get("journal", after=after, limit=1000)
        except httpx.TransportError:
            self._check()
            return []
        return entries

    async def last_seq(self) -> int:
        """Return the number of the newest journal entry, 0 while nobody answers."""
        try:
            newest: list[Json] = await self._get("journal", limit=1)
        except httpx.TransportError:
            self._check()
            return 0
        return int(newest[-1]["seq"]) if newest else 0

    async def _get(self, path: str, **query: int) -> Any:  # noqa: ANN401 - JSON
        answer = await self._http.get(path, params=query)
        if not answer.is_success:
            raise OutsideError(f"the manager answered {answer.status_code} to {path}")
        return answer.json()

    def _check(self) -> None:
        assert self._process is not None
        if self._process.returncode is not None:
            said = (self._folder / LOG).read_text(errors="replace").strip()
            raise OutsideError(
                f"the manager ended with exit code {self._process.returncode}:"
                f" {said.rpartition(chr(10))[2]}; {self._folder / LOG} has the rest"
            )
