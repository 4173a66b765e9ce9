"""The hard limit of a worker, put upon itself before it does anything else."""

import resource
import traceback
from pathlib import Path

from stream_manager.pipelines.messages import Spawn


def contain(spawn: Spawn) -> None:
    """Join the control group of the order, and bound what this process may allocate.

    A worker whose limit can't be had works without it, and says so in its log: its manager watches
    its memory too.
    """
    try:
        if spawn.cgroup:
            (Path(spawn.cgroup) / "cgroup.procs").write_text("0", encoding="ascii")  # 0: itself
        if spawn.data_max_bytes is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = spawn.data_max_bytes if hard < 0 else min(spawn.data_max_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (OSError, ValueError):
        traceback.print_exc()
