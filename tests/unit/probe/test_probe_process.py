"""The probing process may end in any way: whoever asked gets a fault, in bounded time."""

import sys

import pytest

from stream_manager.pipelines.findings import Findings, Look
from stream_manager.pipelines.spec import RtspSource
from stream_manager.probe import look, process
from stream_manager.recovery import Fault

ORDER = Look(
    source=RtspSource(url="rtsp://cam/x", user="u", password="s3cret-pass"),
    seconds=1,
    secrets=("s3cret-pass",),
)


def asked(script: str) -> Findings | Fault:
    """Let a Python script stand for the probing process."""
    return look(ORDER, command=(sys.executable, "-c", script))


def test_the_order_goes_over_stdin_and_the_answer_over_stdout() -> None:
    """No command line holds a password."""
    script = (
        "import sys, json; order = json.load(sys.stdin);"
        "assert order['source']['password'] == 's3cret-pass' and len(sys.argv) == 1;"
        "print(json.dumps({'type': 'Findings', 'seconds': 1.5, 'tracks': []}))"
    )
    assert asked(script) == Findings(seconds=1.5, tracks=())


def test_a_failure_that_is_told_is_the_fault() -> None:
    """Origin, code and status arrive as a worker tells them."""
    script = (
        "import json; print(json.dumps({'type': 'PartFailed', 'part': 'source', 'epoch': 1,"
        "'origin': 'rtspsrc', 'code': 'gst-resource-error:3', 'status': 404, 'text': 'no'}))"
    )
    assert asked(script) == Fault(
        origin="rtspsrc", code="gst-resource-error:3", status=404, text="no"
    )


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ('print(\'{"type": "Find\')', "exit:0"),
        ("raise SystemExit(3)", "exit:3"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "exit:0"),
    ],
)
def test_an_end_without_an_answer_is_a_fault_of_the_process(script: str, code: str) -> None:
    """A crash of a plugin costs the probe, and no more."""
    fault = asked(script)
    assert isinstance(fault, Fault)
    assert (fault.origin, fault.code) == ("process", code)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its bounds it is killed, and that is told as a hang."""
    monkeypatch.setattr(process, "MARGIN_S", 0.2 - ORDER.longest_s)
    fault = asked("import signal; signal.pause()")
    assert isinstance(fault, Fault)
    assert fault.code == "hang"
    assert "was ended" in fault.text
