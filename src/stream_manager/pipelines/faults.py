"""GStreamer's messages, read into facts of failure; the only place where debug text is parsed."""

import errno
import os
import re
from dataclasses import dataclass

from stream_manager.pipelines.gst import GLib, Gst

_RTSP_STATUS = re.compile(r"Error \((\d{3})\)")
_SYSTEM_ERROR = re.compile(r"(?:system error|file descriptor(?: \d+)?): (.+)")
_ERRNO_BY_TEXT = {os.strerror(number): name for number, name in errno.errorcode.items()}
_OPEN_READ_WRITE = "gst-resource-error:7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A failure as its message tells it; the fields are those of messages.PartFailed."""

    origin: str
    code: str
    status: int | None = None
    text: str = ""


def read(message: Gst.Message) -> Reading | None:
    """Return the failure that a bus message tells of, None when it tells of none.

    Besides errors these are failures: rtspsrc's warning that its connection is gone, and its
    element message that nothing came for 25 s. Of several messages about one failure the
    first decides.
    """
    if message.type == Gst.MessageType.ERROR:
        error, debug = message.parse_error()
        return _reading(message, error, debug, message.parse_error_details())
    if message.type == Gst.MessageType.WARNING:
        error, debug = message.parse_warning()
        if origin_of(message) == "rtspsrc" and _is_read_error(error):
            return _reading(message, error, debug, message.parse_warning_details())
        return None
    if message.type == Gst.MessageType.ELEMENT:
        structure = message.get_structure()
        if structure is not None and structure.get_name() == "GstRTSPSrcTimeout":
            return Reading(origin="rtspsrc", code="timeout", text="the camera fell silent")
    return None


def origin_of(message: Gst.Message) -> str:
    """Return the factory name of the element that posted `message`."""
    source: Gst.Object | None = message.src
    while source is not None:
        factory = source.get_factory() if isinstance(source, Gst.Element) else None
        if factory is not None and (name := factory.get_name()) is not None:
            return name
        source = source.get_parent()
    return "source"


def code_of(error: GLib.Error, debug: str | None = None) -> str:
    """Return the name of the errno that is told, else for example "gst-resource-error:9"."""
    if error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NO_SPACE_LEFT):
        return "ENOSPC"
    system_error = _SYSTEM_ERROR.search(debug or "")
    if system_error and (name := _ERRNO_BY_TEXT.get(system_error[1].strip(" ."))):
        return name
    domain = str(error.domain)  # PyGObject gives the quark's text
    return f"{domain.removesuffix('-quark').replace('_', '-')}:{error.code}"


def _is_read_error(error: GLib.Error) -> bool:
    return error.matches(Gst.ResourceError.quark(), Gst.ResourceError.READ)


def _reading(
    message: Gst.Message, error: GLib.Error, debug: str | None, details: Gst.Structure | None
) -> Reading:
    origin = origin_of(message)
    code = code_of(error, debug)
    # A 503 on SETUP and errors of files leave their number in the debug text alone (measured).
    status = _status(details) or _status_in(debug)
    last_line = (debug or "").strip().rpartition("\n")[2]
    text = f"{error.message} ({last_line})" if last_line else error.message
    return Reading(origin=origin, code=code, status=status, text=text)


def _status(details: Gst.Structure | None) -> int | None:
    if details is None:
        return None
    known, status = details.get_uint("rtsp-status-code")
    return status if known else None


def _status_in(debug: str | None) -> int | None:
    found = _RTSP_STATUS.search(debug or "")
    return int(found[1]) if found else None


def is_open_failure(reading: Reading) -> bool:
    """Return whether rtspsrc could not connect; it does not tell why."""
    return reading.origin == "rtspsrc" and reading.code == _OPEN_READ_WRITE
