"""What the single steps cost: a fork, a first picture, a decision, a journalled transaction."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks import cameras
from benchmarks.figures import Figure, Subject, Tell, figure_in_ms
from stream_manager.clock import SystemClock
from stream_manager.pipelines import sockets
from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    FromForkServer,
    FromWorker,
    PartFailed,
    Progress,
    Quit,
    Spawn,
    Spawned,
    StartSource,
    encode,
)
from stream_manager.pipelines.spec import RtspSource, Source, TestSource
from stream_manager.recovery import Fault, RecoveryPolicy, Spec
from stream_manager.store import Entry, Store
from stream_manager.testing.script import Script

WITHIN_S = 30.0
STREAMS = 40
POLL_S = 0.01

_server_said = msgspec.msgpack.Decoder(FromForkServer)
_worker_said = msgspec.msgpack.Decoder(FromWorker)


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Start workers without a manager; decide and journal without workers."""
    starts, decisions, writes = (3, 200, 100) if quick else (30, 5000, 2000)
    with cameras.singles(1, picture=cameras.HD) as (camera,):
        rtsp = RtspSource(url=camera.url("cam"))
        with _fork_server() as spawn:
            figures = [
                *_starts("test:", TestSource(), spawn, tell, count=starts),
                *_starts("RTSP 720p25", rtsp, spawn, tell, count=starts),
            ]
    tell("start: decisions and journal")
    return Subject(
        title="Start: what the steps of a recovery cost",
        figures=(*figures, *_decisions(decisions), asyncio.run(_journal(writes))),
        notes=(
            "When the first picture came is told by the worker's reports. Jitter buffer 200 ms.",
            f"Decisions: one crash of a worker among {STREAMS} streams, all consequences included.",
        ),
    )


Spawner = Callable[[str, int], tuple[str, float]]


@contextmanager
def _fork_server() -> Iterator[Spawner]:
    """Run a fork server; yield what asks it for a worker and tells its socket and when."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stream-manager-bench-")))
        socket_path, log = folder / "server.sock", folder / "server.log"
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "stream_manager.pipelines.forkserver"),
                *("--socket", socket_path, "--registry", folder / "registry.bin"),
                *("--name", "bench", "--log", log),
            ],
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        deadline_s = time.monotonic() + WITHIN_S
        while not socket_path.exists() and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        connection = stack.enter_context(sockets.connect(str(socket_path)))
        connection.settimeout(WITHIN_S)

        def spawn(name: str, epoch: int) -> tuple[str, float]:
            path = str(folder / f"{epoch}.sock")
            order = Spawn(
                stream=name,
                instance="",
                epoch=epoch,
                digest="",
                socket_path=path,
                log_path=str(log),
            )
            asked_s = time.monotonic()
            connection.send(encode(order))
            while True:
                packet, fds, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, 1)
                for fd in fds:
                    os.close(fd)
                if isinstance(_server_said.decode(packet), Spawned):
                    return path, asked_s

        yield spawn


def _starts(kind: str, source: Source, spawn: Spawner, tell: Tell, *, count: int) -> list[Figure]:
    from_fork, from_order = [], []
    for number in range(count):
        path, asked_s = spawn(f"start-{kind[:4].lower()}", number)
        with sockets.connect(path) as worker:
            worker.settimeout(WITHIN_S)
            ordered_s = time.monotonic()
            worker.send(encode(StartSource(epoch=1, source=source)))
            first_s = _first_picture_s(worker.recv)
            from_fork.append(first_s - asked_s)
            from_order.append(first_s - ordered_s)
            worker.send(encode(Quit(grace_s=1.0)))
            while worker.recv(MAX_PACKET_BYTES):
                pass  # until it has ended: the next one starts undisturbed
        tell(f"start: {kind} {number + 1} of {count}")
    return [
        figure_in_ms(f"{kind} fork asked for until first picture", from_fork),
        figure_in_ms(f"{kind} source ordered until first picture", from_order),
    ]


def _first_picture_s(recv: Callable[[int], bytes]) -> float:
    while True:
        match _worker_said.decode(recv(MAX_PACKET_BYTES)):
            case Progress(tracks=tracks):
                for track in tracks:
                    if track.name.startswith("video") and track.first_s is not None:
                        return track.first_s
            case PartFailed(text=text):
                raise RuntimeError(f"the source failed: {text}")
            case _:
                continue


def _decisions(count: int) -> list[Figure]:
    """Let one worker crash and come up again, again and again."""
    policy = RecoveryPolicy()
    names = [f"cam-{number:02}" for number in range(STREAMS)]
    script = Script(*(spec for name in names for spec in _components(name, policy)))
    for name in names:
        for id_ in _ids(name):
            script.wants(id_)
        _comes_up(script, name)
    crash = Fault(origin="process", code="SIGKILL")
    took: list[float] = []
    for number in range(count):
        name = names[number % STREAMS]
        began_s = time.perf_counter()
        script.fails(name, crash)
        took.append(time.perf_counter() - began_s)
        script.gone(name)
        script.passes(policy.backoff.cap_s)
        _comes_up(script, name)
        script.passes(2 * policy.stable_for_s)
    return [Figure(name="one fault to actions", unit="µs", samples=tuple(s * 1e6 for s in took))]


def _ids(name: str) -> tuple[str, str, str]:
    return name, f"{name}/source", f"{name}/record"


def _components(name: str, policy: RecoveryPolicy) -> tuple[Spec, ...]:
    worker, source, record = _ids(name)
    return (
        Spec(id=worker, policy=policy, proven_by=source),
        Spec(id=source, policy=policy, parent=worker, needs=(worker,)),
        Spec(id=record, policy=policy, parent=worker, needs=(worker, source)),
    )


def _comes_up(script: Script, name: str) -> None:
    worker, source, record = _ids(name)
    script.started(worker)
    script.comes_up(source)
    script.comes_up(record)


async def _journal(count: int) -> Figure:
    """Write single entries, each waiting for its commit, as a decision does."""
    took = []
    with TemporaryDirectory(prefix="stream-manager-bench-") as folder:
        store = Store.open(Path(folder), clock=SystemClock(), on_fault=_refuse)
        try:
            for seq in range(1, count + 1):
                began_s = time.perf_counter()
                await store.write([_entry(seq)])
                took.append(time.perf_counter() - began_s)
        finally:
            store.close()
    return figure_in_ms("journal: one entry until it is committed", took)


def _refuse(text: str) -> None:
    raise RuntimeError(text)


def _entry(seq: int) -> Entry:
    return Entry(
        seq=seq,
        because=None,
        at=datetime.now(UTC),
        stream="cam-00",
        component="cam-00",
        epoch=seq,
        event="failed",
        rule="crash",
        cause="crash",
        fault_class="recoverable",
        code="SIGKILL",
        message="the process was ended by SIGKILL; tried again in 0.5 s",
        before="running",
        after="tearing-down",
        attempt=1,
        next_attempt_at=None,
        saw={"attempt": 1, "delay_s": 0.5, "restarts": 1, "limit": 5, "within_s": 60.0},
        actions=("stop",),
    )
