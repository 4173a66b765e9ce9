"""What a log line tells."""

import subprocess
import sys

PROGRAM = """
import sys
from stream_manager.cli.logs import set_up_logs
import logging

def connect(password):
    raise OSError("refused")

set_up_logs(as_json=sys.argv[1] == "json")
try:
    connect("hunter" + "2")
except OSError:
    logging.getLogger("x").exception("it broke")
"""


def said(form: str) -> str:
    """Return what a program logs of an exception, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True
    ).stderr


def test_a_traceback_tells_places_and_no_values() -> None:
    """A password that is passed along when something breaks stands in neither form."""
    for form in ("json", "text"):
        assert "refused" in said(form)
        assert "connect" in said(form)
        assert "hunter2" not in said(form)
