"""Where the logs of workers and fork server lie, and how long those of former streams stay."""

import os
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from stream_manager.config import ManagerSettings

FORK_SERVER = "forkserver"
# Each log is bounded by who writes it; this bounds how many there are.
FORGOTTEN_AFTER = timedelta(days=30)

log = structlog.get_logger()


def log_directory(settings: ManagerSettings) -> Path:
    """Return where logs go: beside the state, but a broken disk stops no stream."""
    log_dir = settings.state_dir / "logs"
    try:
        _make(log_dir)
        writable = os.access(log_dir, os.W_OK)
    except OSError:
        writable = False
    if writable:
        return log_dir
    log.error("the workers' logs go into the runtime directory", can_not_write=str(log_dir))
    return _make(settings.runtime_dir / "logs")


def forget_logs(log_dir: Path, streams: Collection[str], now: datetime) -> None:
    """Remove the logs of streams that are no longer there and were not written for a month."""
    kept = {f"{name}.log" for name in (*streams, FORK_SERVER)}
    for path in log_dir.glob("*.log*"):
        with suppress(OSError):  # on a disk that only reads it stays, and does no harm
            written = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
            if path.name.removesuffix(".1") not in kept and now - written > FORGOTTEN_AFTER:
                path.unlink()


def _make(path: Path) -> Path:
    path.mkdir(mode=0o750, parents=True, exist_ok=True)
    return path
