"""From a finding to the files that are kept of it: bounded, and without a secret."""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stream_manager.evidence.finding import Finding
from stream_manager.pipelines.logfile import of_epoch
from stream_manager.pipelines.scrubbing import scrub

LOG = "worker.log"
SERVER_LOG = "forkserver.log"
STACKS = "stacks.txt"
THREADS = "threads.txt"
GRAPH = ".dot"

TEXT_BYTES = 65_536
READ_BYTES = 4 * TEXT_BYTES  # of each half of a log, to find in it what this worker wrote
GRAPH_BYTES = 524_288

# What faulthandler writes when a process crashes, to the end of its stacks.
_CRASH = re.compile(r"^Fatal Python error: .*?(?=^=== |\Z)", re.MULTILINE | re.DOTALL)


def gather(finding: Finding) -> dict[str, str]:
    """Return the files of a finding by name. Reads logs; raises nothing."""
    log = of_epoch(_tail(finding.log_path), finding.kept.epoch)
    return {name: scrub(text, finding.secrets) for name, text in _files(finding, log) if text}


def _files(finding: Finding, log: str) -> Iterator[tuple[str, str]]:
    yield LOG, _newest_lines(log)
    if finding.server_log is not None:
        yield SERVER_LOG, _newest_lines(_tail(finding.server_log))
    if finding.examination is not None:
        yield STACKS, finding.examination.stacks
        yield THREADS, finding.examination.threads[:TEXT_BYTES]
    elif crash := _CRASH.search(log):
        yield STACKS, crash[0][:TEXT_BYTES]
    for part, dot in finding.graphs.items():
        with suppress(zlib.error):
            graph = zlib.decompressobj().decompress(dot, GRAPH_BYTES)
            yield f"{part}{GRAPH}", graph.decode(errors="replace")


def _tail(log_path: Path) -> str:
    """Return the end of a log's older half and of its newer one."""
    halves = (log_path.with_name(f"{log_path.name}.1"), log_path)
    return "".join(map(_end_of, halves))


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - READ_BYTES))
            text = log.read(READ_BYTES).decode(errors="replace")
    except OSError:
        return ""
    # A line that is cut may begin in the middle of a secret, which no scrubbing finds then.
    return text if size <= READ_BYTES else text.partition("\n")[2]


def _newest_lines(log: str) -> str:
    if len(log) <= TEXT_BYTES:
        return log
    return log[-TEXT_BYTES:].partition("\n")[2]
