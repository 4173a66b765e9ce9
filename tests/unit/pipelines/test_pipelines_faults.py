"""GStreamer's messages become origin, code and status; texts lose their secrets."""

import pytest

from stream_manager.pipelines import faults
from stream_manager.pipelines.gst import GLib, Gst

Gst.init(None)


def error(domain: int, code: int, debug: str, *, factory: str = "rtspsrc") -> Gst.Message:
    """Return an error as an element of `factory` would post it."""
    element = Gst.ElementFactory.make(factory)
    return Gst.Message.new_error(element, GLib.Error.new_literal(domain, "it failed", code), debug)


def test_an_error_is_keyed_by_element_domain_and_code() -> None:
    """The origin is the element's factory, the code its domain and number."""
    reading = faults.read(error(Gst.ResourceError.quark(), 9, "file.c(1): f (): /a/b:\nwhy"))
    assert reading == faults.Reading(
        origin="rtspsrc", code="gst-resource-error:9", text="it failed (why)"
    )


def test_a_status_without_details_comes_from_the_debug_text() -> None:
    """A 503 on SETUP has no details: its number is read where it stands."""
    reading = faults.read(error(Gst.ResourceError.quark(), 10, "Error (503): Service Unavailable"))
    assert reading is not None
    assert reading.status == 503


def test_a_system_error_becomes_its_errno() -> None:
    """An errno that is told by its text alone gets its name back."""
    debug = "gstfilesink.c(494):\nsystem error: No space left on device"
    reading = faults.read(error(Gst.ResourceError.quark(), 10, debug, factory="filesink"))
    assert reading is not None
    assert (reading.origin, reading.code) == ("filesink", "ENOSPC")


@pytest.mark.parametrize(
    ("number", "debug", "code"),
    [
        (10, "Error while writing to file descriptor 7: Input/output error", "EIO"),
        (10, "Error while writing to file descriptor 7: Nobody knows", "gst-resource-error:10"),
        (14, "", "ENOSPC"),
    ],
)
def test_what_a_disk_answers_becomes_its_errno(number: int, debug: str, code: str) -> None:
    """A recording's sink tells its errno in words of its own, and a full disk by its code."""
    reading = faults.read(error(Gst.ResourceError.quark(), number, debug, factory="fdsink"))
    assert reading is not None
    assert (reading.origin, reading.code) == ("fdsink", code)


def test_only_the_warning_of_a_lost_connection_is_a_fault() -> None:
    """Of warnings rtspsrc's RESOURCE 9 alone tells of a failure; an end of stream is not read."""
    element = Gst.ElementFactory.make("rtspsrc")
    lost = GLib.Error.new_literal(Gst.ResourceError.quark(), "lost", 9)
    other = GLib.Error.new_literal(Gst.ResourceError.quark(), "odd", 3)
    assert faults.read(Gst.Message.new_warning(element, lost, "")) is not None
    assert faults.read(Gst.Message.new_warning(element, other, "")) is None
    assert faults.read(Gst.Message.new_eos(element)) is None


def test_a_silent_camera_is_a_timeout() -> None:
    """The element message about silence is read as a fault."""
    structure = Gst.Structure.new_empty("GstRTSPSrcTimeout")
    element = Gst.ElementFactory.make("rtspsrc")
    reading = faults.read(Gst.Message.new_element(element, structure))
    assert reading is not None
    assert reading.code == "timeout"
