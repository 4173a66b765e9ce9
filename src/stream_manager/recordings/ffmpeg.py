"""Reads and joins files with ffmpeg and ffprobe, in processes of their own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream_manager.errors import OutsideError
from stream_manager.pipelines.containers import Muxed

MEND = "apt-get install ffmpeg"
PROBED_WITHIN_S = 120.0
POLL_S = 0.1
SAID_BYTES = 2000

_FORMATS: dict[Muxed, str] = {"ts": "mpegts", "mkv": "matroska", "mp4": "mp4"}
# A file that is no recording must not make them open another file, or an address.
_PROTOCOLS = ("-protocol_whitelist", "file,subfile,pipe")
_READ = ("mpegts", "matroska", "mov")
# Every step in time is meant: by default one of 30 hours is taken for an error.
_ANY_STEP = ("-dts_error_threshold", "1000000000")

# Sound may outlast its file's picture and reach into the next file: of two packets that claim one
# instant the later waits for the next tick, where ffmpeg would else refuse to go on.
_IN_ORDER = (
    "-bsf",
    r"setts=dts=max(DTS\,PREV_OUTDTS+1):pts=max(PTS\,max(DTS\,PREV_OUTDTS+1))",
)


class JoinError(OutsideError):
    """ffmpeg did not join the files; `disk_full` if that was for want of room."""

    def __init__(self, text: str, *, disk_full: bool) -> None:
        super().__init__(text)
        self.disk_full = disk_full


def require() -> None:
    """Raise OutsideError if ffmpeg is not installed."""
    for name in ("ffmpeg", "ffprobe"):
        if shutil.which(name) is None:
            raise OutsideError(f"{name} is not installed, which joins recordings: {MEND}")


def pictures(url: str, *, within_s: float) -> list[tuple[float, bool]]:
    """Return the timestamps of a file's pictures within its first seconds, and which are keyframes.

    Raises OutsideError.
    """
    asked = ("-select_streams", "v:0", "-show_entries", "packet=pts_time,flags")
    packets = _probe(url, *asked, "-read_intervals", f"%+{within_s:.6f}")["packets"]
    found = [(float(it["pts_time"]), "K" in it["flags"]) for it in packets if "pts_time" in it]
    if not found:
        raise OutsideError(f"there is no picture in {url}")
    return found


def length_s(path: Path) -> float:
    """Return how long a file lasts. Raises OutsideError."""
    found = _probe(f"file:{path}", "-show_entries", "format=duration")
    return float(found["format"].get("duration", 0.0))


def join(
    listing: str,
    target: Path,
    container: Muxed,
    *,
    length_s: float | None,
    on_bytes: Callable[[int], None],
) -> None:
    """Write the files of a concat `listing` into `target`, which is there and empty.

    length_s: where each track ends. on_bytes is told how large it is, ten times a second. Raises
    JoinError.
    """
    command = (
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror", "-y"),
        *(*_PROTOCOLS, "-format_whitelist", ",".join(("concat", *_READ)), *_ANY_STEP),
        *("-f", "concat", "-safe", "0", "-i", "pipe:0"),
        # An outpoint in the list would end all tracks at the first packet of any that is past it.
        *(() if length_s is None else ("-t", f"{length_s:.6f}")),
        # Nobody reads it before it is whole: packets need not be written one by one.
        *("-map", "0", "-c", "copy", *_IN_ORDER, "-flush_packets", "0"),
        *("-f", _FORMATS[container], f"file:{target}"),
    )
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(os.fsencode(listing))
        asked.seek(0)
        with _running(command, stdin=asked.fileno(), stderr=said.fileno()) as process:
            while True:
                try:
                    process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    on_bytes(target.stat().st_size)
                else:
                    break
        if process.returncode:
            said.seek(0, os.SEEK_END)
            said.seek(max(0, said.tell() - SAID_BYTES))
            text = said.read().decode(errors="replace").strip()
            full = "No space left on device" in text or "Disk quota exceeded" in text
            raise JoinError(f"ffmpeg can't join the files: {text}", disk_full=full)


@contextmanager
def _running(
    command: Sequence[str], *, stdin: int, stderr: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command, and end it if the block ends before it.

    An interruption waits until the block has begun: inside Popen it would leave the command
    behind. The command inherits that it does not hear of one, and is ended with SIGKILL.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    process = None
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            command,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=_environment(),
            process_group=0,  # Ctrl-C is ours; what it means for ffmpeg is decided here
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _probe(url: str, *asked: str) -> dict[str, Any]:
    command = ("ffprobe", "-v", "error", *_PROTOCOLS, "-format_whitelist", ",".join(_READ))
    try:
        answer = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            [*command, *asked, "-of", "json", "-i", url],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            timeout=PROBED_WITHIN_S,
        )
        found: dict[str, Any] = json.loads(answer.stdout)
    except subprocess.CalledProcessError as error:
        text = error.stderr.decode(errors="replace").strip()[-SAID_BYTES:]
        raise OutsideError(f"ffprobe can't read {url}: {text}") from error
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise OutsideError(f"ffprobe can't read {url}: {error}") from error
    return found


def _environment() -> dict[str, str]:
    """Return ours, in which errors are told in English."""
    return {**os.environ, "LC_ALL": "C"}
