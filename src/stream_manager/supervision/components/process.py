"""A subprocess as a component."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike, fspath

from stream_manager.errors import UsageError
from stream_manager.recovery import exit_fault
from stream_manager.supervision.component import Run, Snapshot
from stream_manager.supervision.components.output import logged
from stream_manager.supervision.ending import within


class Subprocess:
    """Component: one program, given as a list of arguments; no shell reads them.

    It leads a process group of its own, and what it left there goes with it: SIGTERM, and SIGKILL
    after `teardown_s`. Exit code 0 is its end in good order; any other end is a fault.
    log: a file of bounded size for its output; without one it writes where we do.
    """

    def __init__(
        self,
        arguments: Sequence[str | PathLike[str]],
        *,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        log: str | PathLike[str] | None = None,
    ) -> None:
        if isinstance(arguments, str) or not arguments:
            raise UsageError(f"arguments is {arguments!r}: expected a list, the program first")
        for argument in arguments:
            if not isinstance(argument, str | PathLike):
                raise UsageError(f"arguments holds {argument!r}: expected strings or paths")
        self._arguments = tuple(fspath(it) for it in arguments)
        self._cwd = cwd
        self._env = env
        self._log = None if log is None else fspath(log)
        self._run: Run | None = None
        self._process: Process | None = None
        self._over: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, or None."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    async def start(self, run: Run) -> None:
        """Start the program."""
        self._run, self._process, self._over = run, None, None
        if self._log is None:
            process = await self._spawned(None)
        else:
            with logged(self._log, run) as output:
                process = await self._spawned(output)
        self._process = process
        self._over = run.create_task(self._watch(run, process))

    async def teardown(self) -> None:
        """Ask its process group to end, then kill it."""
        run, process, over = self._run, self._process, self._over
        if run is None or process is None or over is None:
            return
        _signal(process, signal.SIGTERM)
        if not await within(over, run.teardown_s, run.clock):
            _signal(process, signal.SIGKILL)
            await asyncio.wait({over})
        _signal(process, signal.SIGKILL)  # whatever of its group outlived it

    def snapshot(self) -> Snapshot | None:
        """Return nothing: what a program keeps is its own affair."""
        return None

    async def _spawned(self, output: int | None) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._arguments,
            cwd=self._cwd,
            env=self._env,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    async def _watch(self, run: Run, process: Process) -> None:
        """Report its end; a process that nobody watches any more does not live on."""
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            _signal(process, signal.SIGKILL)
            await process.wait()  # the kernel's answer, and so nobody's patience
            raise
        if code == 0:
            run.finish()
        else:
            run.report(exit_fault(code))


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
