"""The probing process, seen from outside: given its order on stdin, waited for, and no longer."""

import subprocess
import sys

import msgspec

from stream_manager.pipelines.findings import Answer, Findings, Look, encode
from stream_manager.pipelines.messages import UNREADABLE
from stream_manager.recovery import Fault, exit_fault

# What it may take beyond its own bounds: Python's start, and a plugin cache that is not there yet.
MARGIN_S = 5.0
_MODULE = "stream_manager.pipelines.probe"
_decode = msgspec.json.Decoder(Answer).decode


def look(
    order: Look, *, command: tuple[str, ...] = (sys.executable, "-m", _MODULE)
) -> Findings | Fault:
    """Return what the source is, or the fault for which that is not known.

    command: what is run; it gets its order on stdin, for a command line can be read by everybody.
    """
    within_s = order.longest_s + MARGIN_S
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, without arguments
            command,
            input=encode(order),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # GStreamer's warnings to its developers
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"the probing process gave no answer within {within_s:g} s and was ended"
        return Fault(origin="probe", code="hang", text=text)
    try:
        answer = _decode(ended.stdout)
    except UNREADABLE:  # it ended before it had said all
        return exit_fault(ended.returncode)
    if isinstance(answer, Findings):
        return answer
    return Fault(origin=answer.origin, code=answer.code, status=answer.status, text=answer.text)
