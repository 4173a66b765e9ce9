"""What 40 cameras cost: processor and memory of the workers, the manager and the fork server."""

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean

from benchmarks import cameras, process
from benchmarks.figures import Figure, Subject, Tell
from benchmarks.rig import Rig

STREAMS = 40
WINDOW_S = 60.0
# A start costs processor time that running does not.
SETTLE_S = 10.0

WORKER_CPU_PERCENT, WORKER_PSS_MB, RATIO = 1.5, 12, 2
MANAGER_CPU_PERCENT, MANAGER_RSS_MB = 4, 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Shares of one core over a window, in percent; `idle_percent` is of all cores."""

    percent: tuple[float, ...]
    cameras_percent: float
    idle_percent: float


def measure(tell: Tell, *, quick: bool) -> Subject:
    """Watch 40 streams, then 40 bare pipelines on the same cameras, a minute each."""
    count, window_s = (8, 10.0) if quick else (STREAMS, WINDOW_S)
    with cameras.crowd(count) as crowd:
        tell(f"capacity: starting {count} streams")
        sources = {f"cam-{number:02}": url for number, url in enumerate(crowd.urls)}
        with Rig(sources) as rig:
            workers = [rig.worker_pid(stream) for stream in sources]
            own = [*workers, rig.pid, rig.fork_server_pid]
            load = _load(own, crowd, tell, "ours", window_s=window_s)
            pss_mb = [process.pss_mb(pid) for pid in workers]
            manager_rss_mb = process.rss_mb(rig.pid)
            server_rss_mb = process.rss_mb(rig.fork_server_pid)
        with ExitStack() as stack:
            bare = [_bare(url, stack) for url in crowd.urls]
            bare_load = _load(bare, crowd, tell, "bare", window_s=window_s)
            bare_pss_mb = [process.pss_mb(pid) for pid in bare]
    *worker_percent, manager_percent, server_percent = load.percent
    ratio = mean(worker_percent) / mean(bare_load.percent)
    return Subject(
        title=f"Capacity: {count} streams of RTSP 720p25 with sound, {window_s:g} s",
        figures=(
            _figure("worker, processor", "% of a core", worker_percent, p99=WORKER_CPU_PERCENT),
            _figure("bare pipeline, processor", "% of a core", bare_load.percent),
            _figure("worker / bare, mean processor", "x", [ratio], median=RATIO),
            _figure("worker, PSS", "MB", pss_mb, p99=WORKER_PSS_MB),
            _figure("bare pipeline, PSS", "MB", bare_pss_mb),
            _figure(
                "manager, processor", "% of a core", [manager_percent], median=MANAGER_CPU_PERCENT
            ),
            _figure("manager, RSS", "MB", [manager_rss_mb], median=MANAGER_RSS_MB),
            _figure("fork server, processor", "% of a core", [server_percent]),
            _figure("fork server, RSS", "MB", [server_rss_mb]),
        ),
        notes=(
            "Bare: gst-launch-1.0 with rtspsrc, depayloader, parser and fakesink for both tracks.",
            "It runs on the same cameras after ours, and records nothing.",
            _surroundings("ours", load),
            _surroundings("bare", bare_load),
        ),
    )


def _load(
    pids: Sequence[int], crowd: cameras.Crowd, tell: Tell, whose: str, *, window_s: float
) -> Load:
    tell(f"capacity: {whose}, settling for {SETTLE_S:g} s, then {window_s:g} s of watching")
    time.sleep(SETTLE_S)
    began_s, before = time.monotonic(), process.processor()
    cameras_s, taken_s = crowd.cpu_s(), [process.cpu_s(pid) for pid in pids]
    time.sleep(window_s)
    percent = 100 / (time.monotonic() - began_s)
    return Load(
        percent=tuple(
            (process.cpu_s(pid) - then_s) * percent
            for pid, then_s in zip(pids, taken_s, strict=True)
        ),
        cameras_percent=(crowd.cpu_s() - cameras_s) * percent,
        idle_percent=process.processor().idle_share_since(before) * 100,
    )


def _surroundings(whose: str, load: Load) -> str:
    return (
        f"Meanwhile, {whose}: the cameras took {load.cameras_percent:.0f} % of a core,"
        f" {load.idle_percent:.0f} % of all cores were idle."
    )


def _figure(
    name: str,
    unit: str,
    samples: Sequence[float],
    *,
    median: float | None = None,
    p99: float | None = None,
) -> Figure:
    return Figure(
        name=name, unit=unit, samples=tuple(samples), median_at_most=median, p99_at_most=p99
    )


def _bare(url: str, stack: ExitStack) -> int:
    """Start a pipeline that receives and parses what a worker does; return its process."""
    source = ["rtspsrc", "name=camera", f"location={url}", "protocols=tcp", "latency=200"]
    sink = ["fakesink", "sync=false", "async=false"]
    video = ["camera.", "!", "rtph264depay", "!", "h264parse", "!", *sink]
    audio = ["camera.", "!", "rtpmp4gdepay", "!", "aacparse", "!", *sink]
    bare = subprocess.Popen(
        ["gst-launch-1.0", "-q", *source, *video, *audio],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    stack.callback(bare.wait)
    stack.callback(bare.kill)
    return bare.pid
