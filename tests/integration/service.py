"""A real manager in a folder of its own: started, asked, broken, and always cleaned up."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from stream_manager.lab.picture import Picture
from stream_manager.recordings import find_gaps
from stream_manager.store import read_index, read_marks, read_segments

Json = dict[str, Any]
Answer = TypeVar("Answer")

WITHIN_S = 30.0
POLL_S = 0.05
# The whole process tree is gone this soon after the end of its manager: a worker that is told to
# end takes four seconds at most for its files.
GONE_WITHIN_S = 10.0

# A source that has to be rebuilt again and again.
ENDS_SOON = (
    "videotestsrc is-live=true num-buffers=40 ! video/x-raw,width=160,height=120,framerate=25/1"
    " ! x264enc tune=zerolatency key-int-max=25"
)

PROGRAM = Path(sys.executable).parent / "stream-manager"

# Short enough for tests, in the proportions of the defaults.
RECOVERY = """\
backoff = { base = "100ms", cap = "500ms" }
budget = { restarts = 20, within = "60s" }
verify_for = "200ms"
stable_for = "2s"
"""


def table(id_: str, source: str, **keys: str) -> str:
    """Return the TOML of one recorded stream; `source` is a pipeline if it names an element.

    keys: further keys of the stream, as TOML values.
    """
    key = "pipeline" if " ! " in source else "source"
    record = keys.pop("record", '{ volumes = ["main"], segment = "2s" }')
    lines = [f'id = "{id_}"', f"{key} = {json.dumps(source)}", f"record = {record}"]
    return "\n".join(["[[streams]]", *lines, *(f"{name} = {it}" for name, it in keys.items())])


class Service:
    """`stream-manager run` in `folder`, with `streams` (TOML tables) to run.

    Every wait is for a condition, and fails with the manager's log past its deadline.
    """

    def __init__(self, folder: Path, *streams: str, recovery: str = RECOVERY) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.runtime_dir = folder / "run"
        self.recordings = folder / "recordings"
        self.config = folder / "config.toml"
        self._recovery = recovery
        self._process: subprocess.Popen[bytes] | None = None
        self._outlived = False  # a manager ended, and its workers need not have
        self._log = folder / "manager.log"
        self._http = self._client()
        self.configure(*streams)

    def place_runtime(self, directory: Path) -> None:
        """Have the manager's sockets in another directory than the usual one."""
        text = self.config.read_text()
        self.config.write_text(text.replace('"./run"', f'"{directory}"'))
        self.runtime_dir = directory
        self._http.close()
        self._http = self._client()

    def _client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.runtime_dir / "api.sock"))
        return httpx.Client(transport=transport, base_url="http://manager/api/v1", timeout=10.0)

    def configure(self, *streams: str) -> None:
        """Write the configuration; a running manager reads it on SIGHUP."""
        head = (
            '[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\n'
            f"[recovery]\n{self._recovery}"
            '[[volumes]]\nid = "main"\npath = "./recordings"\n'
        )
        self.config.write_text("\n".join([head, *streams]) + "\n")

    # --- its life --------------------------------------------------------------------------------

    def start(self, *wrapper: str, umask: int = -1, **environment: str) -> Self:
        """Start a manager, as launch() does, and return when it answers."""
        self._process = self.launch(*wrapper, umask=umask, **environment)
        self.wait("the manager to answer", self._answers)
        return self

    def run(self) -> None:
        """Start a manager, and return at once."""
        self._process = self.launch()

    def launch(self, *wrapper: str, umask: int = -1, **environment: str) -> subprocess.Popen[bytes]:
        """Start a manager and return at once; what it logs is in log().

        wrapper: a command that turns into the one after it. environment: what it finds there too.
        """
        # In a process group of its own a terminal's Ctrl-C does not reach it, and in the folder
        # each process of its tree is found by where it works.
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*wrapper, PROGRAM, "run", self.config, "--log-json"],
                cwd=self.folder,
                env=os.environ | environment,
                umask=umask,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The manager's process, running or ended."""
        assert self._process is not None, "start() comes first"
        return self._process

    def signal(self, number: signal.Signals) -> None:
        """Send the manager a signal."""
        self.process.send_signal(number)

    def stop(self, within_s: float = GONE_WITHIN_S) -> int:
        """End the manager by SIGTERM and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def crash(self) -> None:
        """End the manager by SIGKILL."""
        self._outlived = True
        self.process.kill()
        self.process.wait()

    def leave(self, within_s: float = GONE_WITHIN_S) -> int:
        """End the manager alone by SIGUSR2, and return its exit code."""
        self._outlived = True
        self.signal(signal.SIGUSR2)
        return self.process.wait(within_s)

    def close(self) -> None:
        """End everything that was started, and fail if something of it would have stayed."""
        clean = self._process is None or self._process.poll() is not None
        if not clean:
            self.signal(signal.SIGTERM)
            try:
                clean = self.process.wait(GONE_WITHIN_S) == 0
            except subprocess.TimeoutExpired:
                self.crash()
        self._http.close()
        try:
            if self._outlived:
                self.wait("what outlived it to end", self._end_workers, GONE_WITHIN_S)
            self.wait("every process to end", lambda: not self.pids(), GONE_WITHIN_S)
        finally:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
        assert clean, f"the manager did not end by itself\n{self.log()}"

    def pids(self) -> set[int]:
        """Return the processes that work in the folder: manager, fork servers, workers."""
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cwd").readlink() == self.folder:
                    found.add(int(entry.name))
            except OSError:  # it ended, or it is a zombie
                continue
        return found

    def workers(self) -> dict[int, str]:
        """Return the processes of streams, by their titles."""
        return {
            pid: title.removeprefix("stream-manager: ")
            for pid in self.pids()
            if (title := _title(pid)).startswith("stream-manager: ")
        }

    def fork_servers(self) -> list[int]:
        """Return the processes that fork workers."""
        return [pid for pid in self.pids() if "pipelines.forkserver" in _title(pid)]

    # --- what it says ----------------------------------------------------------------------------

    def status(self) -> Json:
        """Return `status --json`."""
        answer: Json = self._http.get("/status").raise_for_status().json()
        return answer

    def stream(self, id_: str) -> Json:
        """Return one stream's element of it."""
        found: list[Json] = [it for it in self.status()["streams"] if it["id"] == id_]
        assert len(found) == 1, f"{id_} is not in the status"
        return found[0]

    def output(self, id_: str) -> Json:
        """Return the recorder of a stream."""
        output: Json = self.stream(id_)["outputs"][0]
        return output

    def journal(self, id_: str | None = None) -> list[Json]:
        """Return the newest thousand entries, oldest first."""
        query = {"limit": "1000"} | ({"stream": id_} if id_ else {})
        answer: list[Json] = self._http.get("/journal", params=query).raise_for_status().json()
        return answer

    def explain(self, id_: str) -> Json:
        """Return `explain --json`."""
        answer: Json = self._http.get(f"/streams/{id_}/explain").raise_for_status().json()
        return answer

    def command(self, id_: str, verb: str) -> None:
        """Give an operator's command."""
        self._http.post(f"/streams/{id_}/{verb}").raise_for_status()

    def log(self) -> str:
        """Return all that the managers of this folder have logged."""
        return self._log.read_text(errors="replace")

    def logged(self, **fields: object) -> list[Json]:
        """Return the log's lines in which these fields have these values."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [it for it in lines if fields.items() <= it.items()]

    # --- waiting ---------------------------------------------------------------------------------

    def wait(
        self, what: str, condition: Callable[[], Answer], within_s: float = WITHIN_S
    ) -> Answer:
        """Return the condition's first true answer."""
        deadline_s = time.monotonic() + within_s
        while not (answer := condition()):
            assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}\n{self.log()}"
            time.sleep(POLL_S)
        return answer

    def wait_for(
        self, id_: str, condition: Callable[[Json], object], within_s: float = WITHIN_S
    ) -> Json:
        """Wait until a stream's status fits, and return it."""
        last: Json = {}

        def fits() -> bool:
            last.clear()
            last.update(self.stream(id_))
            return bool(condition(last))

        try:
            self.wait(f"the right status of {id_}", fits, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(last, indent=1)}") from None
        return last

    def wait_healthy(self, *ids: str, within_s: float = WITHIN_S) -> None:
        """Wait until these streams are verified and recorded."""
        for id_ in ids:
            self.wait_for(id_, lambda it: it["health"] == "healthy", within_s)

    def wait_recorded(self, id_: str, within_s: float = WITHIN_S) -> None:
        """Wait until more of a stream reaches the disk than is there now."""
        before = self.recorded_bytes(id_)
        self.wait(f"{id_} to be recorded", lambda: self.recorded_bytes(id_) > before, within_s)

    def wait_media(self, id_: str, seconds: float) -> None:
        """Wait until a stream that flows has brought so many seconds more of 25 frames each."""
        frames = self.stream(id_)["media"]["frames"] + 25 * seconds
        self.wait_for(id_, lambda it: it["media"]["frames"] >= frames)

    # --- what it recorded ------------------------------------------------------------------------

    def files(self, id_: str) -> Sequence[Path]:
        """Return a stream's files in the order of their names, which is that of time."""
        return sorted((self.recordings / id_).glob("*/*"))

    def recorded_bytes(self, id_: str) -> int:
        """Return the size of all that is on disk of a stream."""
        return sum(path.stat().st_size for path in self.files(id_))

    def _end_workers(self) -> bool:
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return not self.pids()

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the manager has ended\n{self.log()}"
        with socket.socket(socket.AF_UNIX) as probe:  # httpx leaks those that are refused
            if probe.connect_ex(str(self.runtime_dir / "api.sock")) != 0:
                return False
        return bool(self.status())


def frame_times_s(path: Path, track: str = "v:0") -> list[float]:
    """Return the presentation times of a track's frames, every one of them decoded.

    One that a kill cut off has none, and is left out.
    """
    shown = subprocess.run(
        [
            *("ffprobe", "-v", "error", "-select_streams", track, "-of", "csv=p=0"),
            *("-show_entries", "frame=best_effort_timestamp_time", path),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    times = [line.split(",")[0] for line in shown.stdout.split()]
    return sorted(float(at_s) for at_s in times if at_s != "N/A")


def pictures_lost(service: Service, id_: str) -> list[tuple[int, int]]:
    """Return the numbers between which pictures of a simulated camera lack in all recordings.

    They are burnt into its pictures, so it does not matter when the camera got to send them.
    """
    numbers = [number for path in service.files(id_) for number in numbers_of(path)]
    assert len(numbers) > 25
    last = max(numbers)  # then its film begins anew
    return [
        (one, next_)
        for one, next_ in pairwise(numbers)
        if next_ not in (one + 1, 0 if one == last else None)
    ]


def numbers_of(path: Path) -> list[int]:
    """Return the numbers that a simulated camera burnt into the pictures of a file."""
    picture = Picture()
    row = 9 * picture.square
    above = bytes(row * picture.width)
    crop = f"format=gray,crop={picture.width}:1:0:{row}"
    command = ("ffmpeg", "-v", "error", "-i", path, "-vf", crop, "-fps_mode", "passthrough")
    form = ("-pix_fmt", "gray", "-f", "rawvideo", "-")
    shown = subprocess.run([*command, *form], check=True, capture_output=True, timeout=60)
    rows = (shown.stdout[at : at + picture.width] for at in count(0, picture.width))
    return [picture.number(above + it) for it in takewhile(len, rows)]


def gaps_of(service: Service, stream: str) -> list[tuple[str, str]]:
    """Return the causes and codes of what the index misses, but for what a start itself takes."""
    segments = read_index(service.state_dir, lambda it: read_segments(it, stream=stream))
    marks = read_index(service.state_dir, lambda it: read_marks(it, stream))
    gaps = find_gaps(stream, segments, marks)
    return [(it.cause, it.code) for it in gaps if it.cause != "starting"]


def kill_at_a_moment(service: Service, draw: random.Random) -> None:
    """Start a manager if none runs and kill it at some moment, perhaps just after a worker."""
    if service.process.poll() is not None:
        service.run()
    time.sleep(draw.uniform(0.0, 3.0))  # any moment will do: that is what is tried
    flapping = [pid for pid, name in service.workers().items() if name == "flaps"]
    if flapping and draw.random() < 0.3:
        os.kill(flapping[0], signal.SIGKILL)
        time.sleep(draw.uniform(0.0, 0.3))
    service.crash()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""
