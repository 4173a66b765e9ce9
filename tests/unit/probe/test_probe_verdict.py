"""Why a source gave nothing: the cause, and what a person can do."""

import pytest

from stream_manager.pipelines.spec import FileSource, RtspSource, Source
from stream_manager.probe import judge
from stream_manager.recovery import Fault, exit_fault

CAMERA = RtspSource(url="rtsp://cam/x", user="viewer", password="wrong")
OPEN = RtspSource(url="rtsp://cam/x")
FILE = FileSource(path="/x")


@pytest.mark.parametrize(
    ("fault", "source", "cause", "what", "mend"),
    [
        (
            Fault(origin="rtspsrc", code="gst-resource-error:15", status=401),
            CAMERA,
            "auth",
            "the camera refused user or password (RTSP 401)",
            "put user and password right",
        ),
        (
            Fault(origin="rtspsrc", code="gst-resource-error:15", status=401),
            OPEN,
            "auth",
            "the camera asks for a user and a password (RTSP 401)",
            "write them as rtsp://USER:${CAM_PASSWORD}@HOST/PATH",
        ),
        (
            Fault(origin="connect", code="ECONNREFUSED"),
            CAMERA,
            "network",
            "the camera refused the connection (ECONNREFUSED)",
            "look whether the port is right",
        ),
        (
            Fault(origin="source", code="no-video"),
            FILE,
            "media",
            "there is no video that can be recorded (no-video)",
            "give a source that has video",
        ),
        (
            Fault(origin="probe", code="hang"),
            FILE,
            "hang",
            "it hung (hang)",
            "run: stream-manager doctor; if it comes again",
        ),
        (
            exit_fault(-11),
            FILE,
            "crash",
            "crash (SIGSEGV)",
            "run: stream-manager doctor; if it comes again",
        ),
    ],
)
def test_a_fault_is_judged_by_the_table_of_the_manager(
    fault: Fault, source: Source, cause: str, what: str, mend: str
) -> None:
    """Cause and words are those that the stream's journal would have."""
    verdict = judge(fault, source)
    assert (verdict.cause, verdict.what) == (cause, what)
    assert verdict.mend.startswith(mend)
    assert verdict.to_json()["cause"] == cause
