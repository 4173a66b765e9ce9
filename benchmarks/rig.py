"""A real manager in a fresh folder: configured, started, asked, killed, and always cleaned up."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from benchmarks import process
from stream_manager.cli.client import Client, connect
from stream_manager.errors import OutsideError

UP_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
POLL_S = 0.1
FORK_SERVER = "stream_manager.pipelines.forkserver"

Json = dict[str, Any]


class Rig:
    """`stream-manager run` with one recorded stream for each item of `sources` (id: source).

    recovery: the lines of the `[recovery]` table; without them the defaults are measured. On entry
    every stream records and has been verified; on exit nothing of it is left, running or on disk.
    """

    def __init__(self, sources: Mapping[str, str], *, recovery: str = "") -> None:
        self._sources = sources
        self._recovery = recovery
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """The manager's process."""
        return self._manager.pid

    @property
    def fork_server_pid(self) -> int:
        """The process that forks the workers; another child of the manager's may measure a file."""
        children = process.children(self.pid)
        (pid,) = (it for it in children if FORK_SERVER in process.command(it))
        return pid

    def worker_pid(self, stream: str) -> int:
        """Return the process that runs a stream."""
        pid: int = self.streams()[stream]["pid"]
        return pid

    def recordings(self, stream: str) -> Path:
        """Return the folder of a stream's files."""
        return self._folder / "recordings" / stream

    def kill(self) -> None:
        """End the manager by SIGKILL; its workers go on for a while."""
        self._manager.kill()
        self._manager.wait()

    def restart(self) -> float:
        """Start the next manager and return when that was, as seconds since 1970."""
        began_s = time.time()
        self._run()
        return began_s

    def streams(self) -> dict[str, Json]:
        """Return what `status --json` says of each stream, by id."""
        return {stream["id"]: stream for stream in self._client.get("status")["streams"]}

    def last_seq(self) -> int:
        """Return the number of the newest journal entry."""
        (newest,) = self._client.get("journal", limit=1)
        seq: int = newest["seq"]
        return seq

    def journal(self, stream: str | None = None, *, after: int, wait_s: float = 0.0) -> list[Json]:
        """Return the entries after a number; with `wait_s`, wait that long for a first one."""
        entries: list[Json] = self._client.get(
            "journal", stream=stream, after=after, limit=1000, wait_s=wait_s
        )
        return entries

    def wait_for_entry(
        self, stream: str, fits: Callable[[Json], bool], *, after: int, within_s: float
    ) -> Json:
        """Return the first entry that fits. Raises TimeoutError."""
        deadline_s = time.monotonic() + within_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            for entry in self.journal(stream, after=after, wait_s=min(left_s, 20.0)):
                if fits(entry):
                    return entry
                after = entry["seq"]
        raise TimeoutError(f"{stream}: the journal did not tell within {within_s:g} s")

    def wait_until(self, what: str, is_so: Callable[[], bool], *, within_s: float) -> None:
        """Wait for a condition. Raises TimeoutError, OutsideError if the manager has ended."""
        deadline_s = time.monotonic() + within_s
        while not is_so():
            if self._manager.poll() is not None:
                raise OutsideError(f"the manager has ended:\n{self.log()}")
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not within {within_s:g} s: {what}")
            time.sleep(POLL_S)

    def wait_healthy(self, *streams: str, within_s: float = UP_WITHIN_S) -> None:
        """Wait until these streams, or all, are verified, and record."""

        def healthy() -> bool:
            return all(
                it["health"] == "healthy"
                for id_, it in self.streams().items()
                if not streams or id_ in streams
            )

        self.wait_until(f"{streams or 'all'} healthy", healthy, within_s=within_s)

    def log(self) -> str:
        """Return the end of what the manager logged."""
        return self._log_path.read_text(errors="replace")[-2000:]

    def _start(self) -> None:
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="stream-manager-bench-"))
        )
        config = self._folder / "bench.toml"
        config.write_text(self._configuration())
        self._log_path = self._folder / "manager.log"
        self._config = config
        self._run()
        self._stack.callback(self._stop)
        self._client: Client = self._stack.enter_context(connect(config, None))
        self.wait_healthy()

    def _run(self) -> None:
        with self._log_path.open("ab") as log:
            # In a process group of its own it is spared a terminal's Ctrl-C: we end it ourselves.
            self._manager = subprocess.Popen(
                [Path(sys.executable).parent / "stream-manager", "run", self._config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                env=self._environment(),
            )
        self.wait_until("the manager answers", self._answers, within_s=UP_WITHIN_S)

    def _environment(self) -> dict[str, str]:
        """Return one in which a second start finds compiled what the first has: as installed."""
        kept = {it: of for it, of in os.environ.items() if it != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self._folder / "bytecode")}

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._folder / "run" / "api.sock")) == 0

    def _stop(self) -> None:
        self._manager.send_signal(signal.SIGTERM)
        try:
            self._manager.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._manager.kill()  # its workers end themselves soon
            self._manager.wait()

    def _configuration(self) -> str:
        lines = [
            "[manager]",
            'state_dir = "./state"',
            'runtime_dir = "./run"',
            'orphan_grace = "60s"',
            "[recovery]",
            self._recovery,
            "[[volumes]]",
            'id = "main"',
            'path = "./recordings"',
        ]
        for id_, source in self._sources.items():
            lines += [
                "[[streams]]",
                f'id = "{id_}"',
                f'source = "{source}"',
                'record = { volumes = ["main"] }',
            ]
        return "\n".join(lines) + "\n"


def wall_s(at: str) -> float:
    """Return the seconds since 1970 of a time as the API writes it."""
    return datetime.fromisoformat(at).timestamp()
