"""What a look at one track finds."""

from stream_manager.pipelines.elements import make
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.probe import Gauge
from stream_manager.pipelines.tracks import SourceTrack


def test_what_becomes_known_after_the_start_is_found_too() -> None:
    """Over UDP the first keyframe may be lost: the track begins without its size and profile."""
    Gst.init(None)
    tee = make("tee")
    tee.set_property("allow-not-linked", True)
    bare = caps("video/x-h264,stream-format=avc,alignment=au")
    gauge = Gauge(SourceTrack(name="video", kind="video", codec="H264", caps=bare, tee=tee))
    assert (gauge.read().width, gauge.read().profile) == (None, None)
    pad = tee.get_static_pad("sink")
    assert pad is not None
    tee.set_state(Gst.State.PAUSED)
    pad.send_event(Gst.Event.new_stream_start("a"))
    whole = caps(f"{bare.to_string()},width=640,height=360,profile=high")
    pad.send_event(Gst.Event.new_caps(whole))
    found = gauge.read()
    tee.set_state(Gst.State.NULL)
    assert (found.width, found.height, found.profile) == (640, 360, "high")


def caps(text: str) -> Gst.Caps:
    """Read caps."""
    read = Gst.Caps.from_string(text)
    assert read is not None
    return read
