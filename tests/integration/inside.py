"""Trouble from inside a process: code of a test's, which it runs in its main thread on SIGUSR1."""

import os
import signal
from pathlib import Path

from tests.integration.service import Service

_HOOK = """\
import signal
from pathlib import Path

signal.signal(signal.SIGUSR1, lambda *_: exec(Path("trouble.py").read_text(), {}))
"""
# The buffer that comes next to the element "victim" crashes, in its own thread.
CRASH = """\
import ctypes, gc
from stream_manager.pipelines.gst import Gst

for pipeline in [it for it in gc.get_objects() if isinstance(it, Gst.Pipeline)]:
    if victim := pipeline.get_by_name("victim"):
        pad = victim.get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, lambda *_: ctypes.string_at(0))
"""


def python_path(folder: Path) -> str:
    """Return the PYTHONPATH of a manager whose processes can be troubled; writes to `folder`."""
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(_HOOK)
    return os.pathsep.join([str(hooks), os.environ.get("PYTHONPATH", "")])


def run_in(service: Service, pid: int, code: str) -> None:
    """Have a process run `code`; return when it has begun to."""
    script = service.folder / "trouble.py"
    script.write_text(f"import os; os.remove('trouble.py')\n{code}")
    os.kill(pid, signal.SIGUSR1)
    service.wait("the code to be taken", lambda: not script.exists())
