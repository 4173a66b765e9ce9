"""What one would otherwise do: a recording command, started again whenever it ends."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

Command = Callable[[str, Path], list[str]]


def ffmpeg(url: str, file: Path) -> list[str]:
    """Return the usual command."""
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error"]
    return [*quiet, "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-f", "mpegts", str(file)]


def patient_ffmpeg(url: str, file: Path) -> list[str]:
    """Return the usual command with the usual patience: it ends after 10 s without data."""
    plain = ffmpeg(url, file)
    place = plain.index("-i")
    return [*plain[:place], "-timeout", "10000000", *plain[place:]]


def gst_launch(url: str, file: Path) -> list[str]:
    """Return a GStreamer pipeline with our jitter buffer, which writes each packet at once."""
    source = ["rtspsrc", f"location={url}", "protocols=tcp", "latency=200"]
    sink = ["filesink", f"location={file}", "buffer-mode=unbuffered"]
    pipeline = [*source, "!", "rtph264depay", "!", "h264parse", "!", "mpegtsmux", "!", *sink]
    return ["gst-launch-1.0", "-q", *pipeline]


class Loop:
    """A command in a loop that starts it again at once, each time with a file of its own."""

    def __init__(self, command: Command, url: str, directory: Path) -> None:
        self._command = command
        self._url = url
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._directory.mkdir()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        while self._thread.is_alive():
            if self._process is not None:
                self._process.kill()
            self._thread.join(0.05)

    @property
    def pid(self) -> int:
        """The process that runs now; call it when bytes have been seen."""
        assert self._process is not None
        return self._process.pid

    def _run(self) -> None:
        while not self._ending:
            file = self._directory / f"{time.monotonic_ns()}.ts"
            self._process = subprocess.Popen(
                self._command(self._url, file),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
            self._process.wait()
