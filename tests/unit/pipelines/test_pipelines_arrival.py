"""The time that a track's first picture gets."""

import pytest

from stream_manager.pipelines.arrival import FirstPicture
from stream_manager.pipelines.gst import Gst

MS = Gst.SECOND // 1000
# When a packet comes, and how it is stamped, in ms of running time.
Packet = tuple[int, int]


def play(*packets: Packet) -> list[int]:
    """Push packets through a pad, each at its time; return how those are stamped that pass, in ms.

    The last one is stamped as none other: with it all that was held has passed.
    """
    Gst.init(None)
    sink = Gst.ElementFactory.make("fakesink")
    assert sink is not None
    sink.set_property("async", False)
    sink.set_state(Gst.State.PLAYING)
    entry, pad = sink.get_static_pad("sink"), Gst.Pad.new("src", Gst.PadDirection.SRC)
    assert entry is not None
    came: list[int] = []

    def on_buffer(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        came.append(buffer.pts // MS)
        return Gst.PadProbeReturn.OK

    entry.add_probe(Gst.PadProbeType.BUFFER, on_buffer)
    now_ms = 0
    FirstPicture(pad, lambda: now_ms * MS, latency_ns=200 * MS)
    pad.set_active(True)
    pad.link(entry)
    segment = Gst.Segment()
    segment.init(Gst.Format.TIME)
    for event in (Gst.Event.new_stream_start("packets"), Gst.Event.new_segment(segment)):
        pad.push_event(event)
    for now_ms, stamp_ms in packets:  # noqa: B007 - the lambda reads it
        buffer = Gst.Buffer.new_wrapped(b"packet")
        buffer.pts = buffer.dts = stamp_ms * MS
        pad.push(buffer)
    sink.set_state(Gst.State.NULL)
    return came


@pytest.mark.parametrize(
    ("packets", "stamps"),
    [
        pytest.param(
            [(2000, 60), (2001, 60), (2040, 2040), (2080, 2080)],
            [2001, 2001, 2040, 2080],
            id="stamped as if it had come at PLAY",
        ),
        pytest.param(
            [(7000, 60), (7001, 60), (13000, 13000)],
            [6800, 6800, 13000],
            id="so late that the next may be long in coming",
        ),
        pytest.param(
            [(260, 60), (260, 185), (310, 310)],
            [60, 185, 310],
            id="kept by the jitter buffer",
        ),
        pytest.param(
            [(400, 60), (400, 60), (401, 100), (402, 140)],
            [60, 60, 100, 140],
            id="looked at late, as what follows",
        ),
        pytest.param([(70, 60), (110, 100)], [60, 100], id="in time"),
        pytest.param(
            [(60, 60), (3000, 100), (3040, 3040)], [60, 100, 3040], id="odd, but not the first"
        ),
    ],
)
def test_the_first_picture_is_stamped_by_its_arrival(
    packets: list[Packet], stamps: list[int]
) -> None:
    """By the time from its arrival to the next one's, where its own stamp is far from that."""
    assert play(*packets) == pytest.approx(stamps, abs=1)


def test_a_plugin_that_crashes_while_it_is_loaded_ends_its_process_by_the_signal() -> None:
    """GStreamer's own handler would exit with 255, and no stack would be told."""
    assert not Gst.segtrap_is_enabled()
