"""Real processes and threads under a supervisor on the real clock: faults, and bounded ends."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.waiting import eventually

from stream_manager.errors import UsageError
from stream_manager.recovery import Backoff, Cause, Phase, RecoveryPolicy
from stream_manager.supervision import Run, Subprocess, Supervisor, ThreadFunction
from stream_manager.supervision.components import output

pytestmark = pytest.mark.media

POLICY = RecoveryPolicy(
    backoff=Backoff(base_s=0.05, cap_s=0.1),
    verify_for_s=0.1,
    teardown_s=0.5,
    start_deadline_s=5.0,
)
PATIENCE_S = 20.0


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
