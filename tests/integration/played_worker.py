"""A process that listens where a worker would, says what the test wants, and ends on SIGTERM.

python -m tests.integration.played_worker SOCKET hello '{"instance": …, "version": …}'
python -m tests.integration.played_worker SOCKET noise BYTES
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_manager.pipelines import sockets
from stream_manager.pipelines.identity import start_ticks
from stream_manager.pipelines.messages import VERSION, Hello, encode


@contextmanager
def played(path: Path, kind: str, what: str) -> Iterator[subprocess.Popen[str]]:
    """Run one that listens already; afterwards it has ended."""
    command = [sys.executable, "-m", "tests.integration.played_worker", str(path), kind, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listens\n"
            yield process
        finally:
            process.kill()


def main(path: str, kind: str, what: str) -> None:
    """Answer each connection."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with sockets.listen(path) as listener:
        print("listens", flush=True)  # noqa: T201 - for who waits
        kept = []
        while True:
            connection, _ = listener.accept()
            kept.append(connection)
            if kind == "noise":
                connection.send(b"\xc1" * int(what))
                continue
            said = {
                "version": VERSION,
                "epoch": 1,
                "pid": os.getpid(),
                "start_ticks": start_ticks(os.getpid()),
                **json.loads(what),
            }
            connection.send(encode(Hello(**said)))


if __name__ == "__main__":
    main(*sys.argv[1:])
