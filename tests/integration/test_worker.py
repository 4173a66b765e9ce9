"""Real workers forked by a real fork server: what they are asked, what they tell, how they end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from stream_manager.clock import SystemClock
from stream_manager.config import Limits
from stream_manager.lab.camera import Camera
from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    Attend,
    Exited,
    FromForkServer,
    FromWorker,
    Hello,
    Noted,
    PartFailed,
    PartGone,
    PartStarted,
    Progress,
    Quit,
    SegmentClosed,
    SegmentOpened,
    Serving,
    Spawn,
    Spawned,
    SpawnFailed,
    StartRecord,
    StartSource,
    StopPart,
    ToWorker,
    encode,
)
from stream_manager.pipelines.spec import (
    FileSource,
    PipelineSource,
    RecordSpec,
    RtspSource,
    Source,
    TestSource,
)
from stream_manager.streams.cgroups import Cgroups
from stream_manager.streams.limits import KernelMemory, LimitWatch
from stream_manager.streams.oom import OutOfMemoryWatch

pytestmark = pytest.mark.media

DEADLINE_S = 20.0
SECRET = "p@ss word"
RUNAWAY_BYTES = 256 * 2**20
# A queue without bounds, filled as fast as memory can be had, before a sink that waits an hour.
RUNAWAY = (
    "videotestsrc is-live=true ! x264enc ! h264parse"
    "  videotestsrc pattern=black"
    " ! video/x-raw,format=GRAY8,width=4096,height=4096,framerate=1000/1"
    " ! queue max-size-bytes=0 max-size-buffers=0 max-size-time=0"
    " ! fakesink sync=true ts-offset=3600000000000"
)
Fact = TypeVar("Fact")


class Worker:
    """A manager's connection to one worker."""

    def __init__(self, spawned: Spawned, pidfd: int, path: Path) -> None:
        self.pid = spawned.pid
        self.pidfd = pidfd
        self.path = path
        self.connection = sockets.connect(str(path))
        self.decode = msgspec.msgpack.Decoder(FromWorker).decode

    def ask(self, order: ToWorker) -> None:
        """Send an order."""
        self.connection.send(encode(order))

    def again(self, server: "Server") -> "Worker":
        """Return the connection of another manager, which the fixture ends in place of this one."""
        spawned = Spawned(stream="cam", epoch=7, pid=self.pid)
        self.connection.close()
        another = Worker(spawned, self.pidfd, self.path)
        server.workers[server.workers.index(self)] = another
        return another

    def facts(self) -> Iterator[FromWorker]:
        """Yield what comes until the worker closes; fail when nothing comes for DEADLINE_S."""
        self.connection.settimeout(DEADLINE_S)
        while packet := self.connection.recv(MAX_PACKET_BYTES):
            yield self.decode(packet)

    def wait_for(self, kind: type[Fact], holds: Callable[[Fact], bool] = lambda _: True) -> Fact:
        """Return the first fact of `kind` that holds; any failure told before is an error."""
        deadline_s = time.monotonic() + DEADLINE_S
        for fact in self.facts():
            if isinstance(fact, kind) and holds(fact):
                return fact
            assert not isinstance(fact, PartFailed), fact
            assert time.monotonic() < deadline_s, f"no {kind.__name__} in time, but {fact}"
        raise AssertionError(f"the worker ended before {kind.__name__}")

    def start(self, source: Source, *, epoch: int = 1) -> None:
        """Start `source`."""
        self.ask(StartSource(epoch=epoch, source=source))

    def stop(self, *, epoch: int = 1) -> None:
        """Stop the source and wait until that is confirmed."""
        self.ask(StopPart(part="source", epoch=epoch, grace_s=4.0))
        self.wait_for(PartGone, lambda gone: gone.part == "source")


class Server:
    """A manager's connection to a fork server of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "fork.sock"
        command = [sys.executable, "-m", "stream_manager.pipelines.forkserver"]
        options = ["--socket", str(self.path), "--registry", str(directory / "registry.bin")]
        options += ["--name", "test"]
        self.process = subprocess.Popen([*command, *options, "--log", str(directory / "fork.log")])
        self.connection = self.connect()
        self.workers: list[Worker] = []

    def connect(self) -> socket.socket:
        """Return a new connection, as soon as the server accepts one."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            try:
                connection = sockets.connect(str(self.path))
            except OSError:
                assert time.monotonic() < deadline_s, "the fork server does not serve"
                time.sleep(0.01)  # between two looks at a condition
            else:
                connection.settimeout(DEADLINE_S)
                packet = connection.recv(MAX_PACKET_BYTES)  # nothing where another one is served
                if packet:
                    assert msgspec.msgpack.decode(packet, type=Serving) == Serving(name="test")
                return connection

    def order(self, stream: str, directory: Path, data_max_bytes: int | None = None) -> None:
        """Ask for a worker with its files in `directory`."""
        spawn = Spawn(
            stream=stream,
            instance="test",
            epoch=7,
            digest="d1",
            socket_path=str(directory / f"{stream}.sock"),
            log_path=str(directory / f"{stream}.log"),
            secrets=(SECRET,),
            data_max_bytes=data_max_bytes,
        )
        self.connection.send(encode(spawn))

    def answer(self) -> tuple[FromForkServer, list[int]]:
        """Return what the server says next, and the descriptors beside it."""
        packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET_BYTES, 4)
        return msgspec.msgpack.decode(packet, type=FromForkServer), fds

    def spawn(self, stream: str, data_max_bytes: int | None = None) -> Worker:
        """Fork a worker and connect to it."""
        self.order(stream, self.directory, data_max_bytes)
        answer, fds = self.answer()
        assert isinstance(answer, Spawned), answer
        worker = Worker(answer, fds[0], self.directory / f"{stream}.sock")
        self.workers.append(worker)
        return worker

    def exit_of(self, worker: Worker) -> int:
        """Wait for the end of `worker` and return its exit code."""
        answer, _ = self.answer()
        assert isinstance(answer, Exited), answer
        assert answer.pid == worker.pid
        return os.waitstatus_to_exitcode(answer.status)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a running fork server and end it, with all its workers."""
    running = Server(tmp_path)
    yield running
    for worker in running.workers:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(worker.pidfd, signal.SIGTERM)
        worker.connection.close()
        os.close(worker.pidfd)
    running.connection.close()
    running.process.terminate()
    running.process.wait(DEADLINE_S)


@pytest.fixture
def worker(server: Server) -> Worker:
    """Give a worker with nothing started in it yet."""
    return server.spawn("cam")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of one second: 25 frames with B-frames, and a tone."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=25:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=duration=1"]
    codecs = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "2", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, *tone, *codecs, path], check=True)
    return path


def has_media(progress: Progress) -> bool:
    """Tell whether every track has brought frames."""
    return bool(progress.tracks) and all(track.frames > 5 for track in progress.tracks)


def sockets_of(pid: int) -> set[str]:
    """Return the sockets that a process holds, by inode."""
    targets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return {target for target in targets if target.startswith("socket:")}


def failure_of(worker: Worker, source: Source) -> PartFailed:
    """Start `source` and return the fault that it ends in."""
    worker.start(source)
    return worker.wait_for(PartFailed)


def test_worker_says_who_it_is_and_shows_no_secret(server: Server, worker: Worker) -> None:
    """The first packet names the worker; its title names the stream; it holds no stray fd."""
    hello = worker.wait_for(Hello)
    assert (hello.stream, hello.epoch, hello.pid) == ("cam", 7, worker.pid)
    process = Path(f"/proc/{worker.pid}")
    assert process.joinpath("cmdline").read_bytes().rstrip(b"\0") == b"stream-manager: cam"
    assert sockets_of(worker.pid).isdisjoint(sockets_of(server.process.pid))
    assert os.getsid(worker.pid) == worker.pid


def test_worker_reports_a_crash_with_its_signal(server: Server, worker: Worker) -> None:
    """A killed worker is reaped, its status told, and the server forks the next one."""
    worker.wait_for(Hello)
    os.kill(worker.pid, signal.SIGSEGV)
    assert server.exit_of(worker) == -signal.SIGSEGV
    assert "Segmentation fault" in (server.directory / "cam.log").read_text()
    assert server.spawn("next").wait_for(Hello).stream == "next"


def test_worker_that_runs_away_is_contained_by_the_kernel(server: Server) -> None:
    """No manager looks on while it takes all it can get: it is refused more, and that is told."""
    worker, log = server.spawn("cam", data_max_bytes=RUNAWAY_BYTES), server.directory / "cam.log"
    worker.wait_for(Hello)
    worker.start(PipelineSource(description=RUNAWAY))
    exit_code = server.exit_of(worker)
    assert exit_code == -signal.SIGTRAP
    assert "failed to allocate" in log.read_text()
    clock = SystemClock()
    watch = LimitWatch(
        Limits(memory_bytes=RUNAWAY_BYTES),
        recorded=True,
        log=log,
        kernel=KernelMemory(cgroups=Cgroups(None), oom=OutOfMemoryWatch(clock)),
        clock=clock,
        fail=lambda fault: pytest.fail(str(fault)),
    )
    order = Spawn(
        stream="cam", instance="test", epoch=7, digest="d1", socket_path="", log_path=str(log)
    )
    fault = watch.end_of(order, exit_code)
    assert fault.code == "memory-limit"
    assert "SIGTRAP, refused more memory by its limit of 256.0 MiB" in fault.text
    assert "failed to allocate 16777" in fault.text


def test_forkserver_keeps_statuses_for_the_next_manager(server: Server, worker: Worker) -> None:
    """An exit that nobody was there to hear of is told at the next connection."""
    server.connection.close()
    os.kill(worker.pid, signal.SIGKILL)
    server.connection = server.connect()
    assert server.exit_of(worker) == -signal.SIGKILL


def test_forkserver_refuses_a_second_manager(server: Server) -> None:
    """While its manager lives nobody else is served, and that one notices nothing."""
    with server.connect() as second:
        assert second.recv(MAX_PACKET_BYTES) == b""
    assert server.spawn("cam").wait_for(Hello).stream == "cam"


def test_forkserver_answers_what_it_can_not_do(server: Server) -> None:
    """A directory that is missing is told by its errno, and the server lives on."""
    server.order("cam", server.directory / "missing" / SECRET)
    answer, _ = server.answer()
    assert isinstance(answer, SpawnFailed)
    assert answer.code == "ENOENT"
    assert SECRET not in answer.text
    assert server.spawn("cam").wait_for(Hello).stream == "cam"


def test_forkserver_ends_with_its_manager(server: Server, worker: Worker) -> None:
    """When manager and workers are gone the fork server is too, and not before."""
    server.connection.close()
    worker.connection.close()
    server.connection = server.connect()
    server.connection.close()
    signal.pidfd_send_signal(worker.pidfd, signal.SIGTERM)
    assert server.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("description", ["test", "file", "pipeline"])
def test_source_brings_every_track(worker: Worker, clip: Path, description: str) -> None:
    """Each kind of source that needs no network announces its tracks, and both advance."""
    sources: dict[str, Source] = {
        "test": TestSource(),
        "file": FileSource(path=str(clip)),
        "pipeline": PipelineSource(
            description="videotestsrc is-live=true ! x264enc tune=zerolatency"
            " audiotestsrc is-live=true ! alawenc"
        ),
    }
    worker.start(sources[description])
    tracks = worker.wait_for(PartStarted).tracks
    assert {track.kind for track in tracks} == {"video", "audio"}
    worker.wait_for(Progress, has_media)
    worker.stop()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("bind", ["127.0.0.1", "::1"])
def test_source_plays_a_camera(worker: Worker, transport: str, bind: str) -> None:
    """A camera is played over both transports and both versions of IP."""
    with Camera("cam", bind=bind) as camera:
        worker.start(RtspSource(url=camera.url("cam"), transport=transport))  # type: ignore[arg-type]  # parametrised
        assert {track.codec for track in worker.wait_for(PartStarted).tracks} == {"H264", "AAC"}
        progress = worker.wait_for(Progress, has_media)
        assert all((it.packets >= it.frames) is (it.name == "video") for it in progress.tracks)
        camera.die()
        fault = worker.wait_for(PartFailed)
    assert (fault.origin, fault.code) == ("rtspsrc", "gst-resource-error:9")


def test_source_tells_a_wrong_password_and_keeps_it_secret(worker: Worker) -> None:
    """401 arrives as a status, and no text holds the password."""
    with Camera("cam", user="admin", password="right") as camera:
        source = RtspSource(url=camera.url("cam"), user="admin", password=SECRET)
        fault = failure_of(worker, source)
    assert (fault.origin, fault.code, fault.status) == ("rtspsrc", "gst-resource-error:15", 401)
    assert SECRET not in fault.text


@pytest.mark.parametrize(
    ("source", "origin", "code"),
    [
        (RtspSource(url="rtsp://127.0.0.1:1/x"), "connect", "ECONNREFUSED"),
        (RtspSource(url="rtsp://[::1]:1/x"), "connect", "ECONNREFUSED"),
        (RtspSource(url="rtsp://nobody.invalid/x"), "connect", "dns"),
        (FileSource(path="/nonexistent.mp4"), "filesrc", "gst-resource-error:3"),
        (FileSource(path="/tmp"), "filesrc", "gst-resource-error:5"),
        (FileSource(path=__file__), "source", "container"),
        (PipelineSource(description="nosuch ! fakesink"), "source", "gst-parse-error:1"),
        (PipelineSource(description="videotestsrc x=1"), "source", "gst-parse-error:2"),
        (PipelineSource(description="videotestsrc is-live=true"), "source", "raw-video"),
        (PipelineSource(description="audiotestsrc ! alawenc"), "source", "no-video"),
    ],
)
def test_source_says_why_it_fails(worker: Worker, source: Source, origin: str, code: str) -> None:
    """Each way to be unusable has its own code, and the worker can still be stopped."""
    fault = failure_of(worker, source)
    assert (fault.part, fault.epoch) == ("source", 1)
    assert (fault.origin, fault.code) == (origin, code), fault.text
    worker.stop()


def test_source_that_ends_is_a_fault(worker: Worker) -> None:
    """Live streams do not end by themselves: the end of one is told."""
    description = "videotestsrc is-live=true num-buffers=5 ! x264enc tune=zerolatency"
    worker.start(PipelineSource(description=description))
    worker.wait_for(PartStarted)
    assert worker.wait_for(PartFailed).code == "eos"


def test_source_file_goes_on_past_its_end(worker: Worker, clip: Path, tmp_path: Path) -> None:
    """A looped file is recorded as one stream: every step between frames is one frame long."""
    worker.ask(StartSource(epoch=1, source=FileSource(path=str(clip)), hold=True))
    worker.wait_for(PartStarted)
    record = RecordSpec(directory=str(tmp_path), container="mkv")
    worker.ask(StartRecord(epoch=1, record=record, sequence=1))
    worker.wait_for(Progress, lambda now: sum(track.frames for track in now.tracks) > 240)
    worker.ask(StopPart(part="source", epoch=1, grace_s=4.0))
    path = worker.wait_for(SegmentClosed).path
    worker.wait_for(PartGone, lambda gone: gone.part == "source")
    show = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time"]
    shown = subprocess.run([*show, "-of", "csv=p=0", path], check=True, capture_output=True)
    times_s = sorted(float(line.strip(",")) for line in shown.stdout.decode().split())
    assert len(times_s) > 75
    steps_s = [after - before for before, after in pairwise(times_s)]
    assert 0.03 < min(steps_s) <= max(steps_s) < 0.09  # at a turn the longer track decides


def test_source_file_starts_where_it_is_told(worker: Worker, clip: Path) -> None:
    """A file goes on from the keyframe before its saved position."""
    worker.ask(StartSource(epoch=1, source=FileSource(path=str(clip)), position_s=0.45))
    first = worker.wait_for(Progress, lambda now: bool(now.tracks) and now.tracks[0].frames > 0)
    assert first.position_s is not None
    assert 0.4 <= first.position_s < 1.0  # keyframes stand every 0.4 s; a pulse comes each 0.2 s
    worker.stop()


def test_worker_stops_a_frozen_camera(worker: Worker, camera: Camera) -> None:
    """A camera that answers nothing does not keep its source from being torn down."""
    worker.start(RtspSource(url=camera.url("cam")))
    worker.wait_for(Progress, has_media)
    camera.freeze()
    worker.stop()
    camera.thaw()


def test_worker_rebuilds_without_a_leak(worker: Worker) -> None:
    """After many rebuilds in one process its descriptors and threads are as many as before."""
    process = Path(f"/proc/{worker.pid}")

    def rebuild(epoch: int) -> tuple[int, int]:
        worker.start(TestSource(), epoch=epoch)
        worker.wait_for(PartStarted)
        worker.stop(epoch=epoch)
        count = len(list(process.joinpath("fd").iterdir()))
        return count, len(list(process.joinpath("task").iterdir()))

    early = [rebuild(epoch) for epoch in range(1, 11)]
    late = [rebuild(epoch) for epoch in range(11, 101)][-10:]
    # A part is freed just after it was told to be gone: some counts come too early for that.
    assert min(fds for fds, _ in late) <= max(fds for fds, _ in early)
    pooled = 4  # GLib keeps some threads of ended tasks for the next ones
    assert min(threads for _, threads in late) <= max(threads for _, threads in early) + pooled


def test_worker_goes_on_without_a_manager_and_tells_the_next_one_what_holds(
    server: Server, worker: Worker, tmp_path: Path
) -> None:
    """Files that nobody has noted are told again, in order, with the parts that there are."""
    worker.start(TestSource())
    worker.wait_for(PartStarted)
    record = RecordSpec(directory=str(tmp_path), segment_s=1.0)
    worker.ask(StartRecord(epoch=4, record=record, sequence=1))
    first = worker.wait_for(SegmentClosed)
    again = worker.again(server)
    hello = again.wait_for(Hello)
    assert (hello.digest, hello.ending, hello.last_media_s is None) == ("d1", False, False)
    assert [(it.part, it.epoch, it.ending) for it in hello.parts] == [
        ("source", 1, False),
        ("record", 4, False),
    ]
    facts = again.facts()
    told = [next(facts) for _ in range(5)]
    assert [type(it) for it in told] == [
        *(PartStarted, PartStarted, SegmentOpened, SegmentOpened, SegmentClosed)
    ] or [type(it) for it in told] == [
        *(PartStarted, PartStarted, SegmentOpened, SegmentClosed, SegmentOpened)
    ]
    assert first in told

    # What is noted is not told a third time, but for what holds still.
    again.ask(Noted(facts=5))
    again.ask(StopPart(part="source", epoch=1, grace_s=4.0))
    again.wait_for(PartGone, lambda gone: gone.part == "source")
    third = again.again(server)
    hello = third.wait_for(Hello)
    assert hello.parts == ()
    told = []
    for fact in third.facts():
        if isinstance(fact, Progress):
            break
        told.append(fact)
    assert first not in told
    assert isinstance(told[-1], PartGone)
    third.ask(Quit(grace_s=2.0))
    assert server.exit_of(worker) == 0


def test_worker_ends_after_the_grace_that_its_manager_gave_it(
    server: Server, worker: Worker, tmp_path: Path
) -> None:
    """Left alone it closes its segment and exits 0, unless another manager comes in time."""
    worker.ask(Attend(orphan_grace_s=30.0))
    worker.start(TestSource())
    worker.wait_for(PartStarted)
    worker.ask(StartRecord(epoch=1, record=RecordSpec(directory=str(tmp_path)), sequence=1))
    worker.wait_for(Progress, lambda now: any(output.bytes for output in now.outputs))
    again = worker.again(server)
    again.ask(Attend(orphan_grace_s=0.0))
    again.wait_for(Progress)
    again.connection.close()
    assert server.exit_of(worker) == 0
    (path,) = tmp_path.glob("cam/*/*.ts")
    assert path.stat().st_size
    assert "no manager came for 0 s" in (server.directory / "cam.log").read_text()


def test_worker_obeys_sigterm(server: Server, worker: Worker) -> None:
    """SIGTERM ends a worker in good order."""
    worker.start(TestSource())
    worker.wait_for(PartStarted)
    signal.pidfd_send_signal(worker.pidfd, signal.SIGTERM)
    assert server.exit_of(worker) == 0


def test_worker_refuses_a_second_manager(worker: Worker) -> None:
    """While its manager lives nobody else is heard or told anything."""
    with sockets.connect(str(worker.path)) as second:
        second.settimeout(DEADLINE_S)
        assert second.recv(MAX_PACKET_BYTES) == b""
    worker.start(TestSource())
    worker.wait_for(PartStarted)
    worker.stop()


@pytest.mark.parametrize(
    "packet",
    [
        b"\xc1garbage",
        b"\x81\xa4type\xa5Never",
        b"\x81\xa1\xff\x01",
        encode(Quit(grace_s=0.0)) + bytes(MAX_PACKET_BYTES),
    ],
)
def test_worker_parts_from_a_manager_that_talks_nonsense(
    server: Server, worker: Worker, packet: bytes
) -> None:
    """What nobody understands ends the connection and stands in the log; the worker goes on."""
    worker.connection.send(packet)
    assert not any(isinstance(fact, PartFailed) for fact in worker.facts())
    again = worker.again(server)
    again.start(TestSource())
    again.wait_for(PartStarted)
    assert "Traceback" in (server.directory / "cam.log").read_text()


def test_worker_tells_no_secret_of_a_recording(worker: Worker, tmp_path: Path) -> None:
    """A recorder's failure names its directory, but not the secret in it."""
    worker.ask(StartSource(epoch=1, source=TestSource(), hold=True))
    worker.wait_for(PartStarted)
    record = RecordSpec(directory=str(tmp_path / SECRET))
    worker.ask(StartRecord(epoch=1, record=record, sequence=1))
    fault = worker.wait_for(PartFailed)
    assert (fault.part, fault.code) == ("record", "ENOENT")
    assert str(tmp_path) in fault.text
    assert SECRET not in fault.text
