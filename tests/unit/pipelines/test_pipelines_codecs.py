"""One table knows what can be recorded."""

import pytest

from stream_manager.pipelines.codecs import CODECS, Codec, chain_for
from stream_manager.pipelines.elements import BadSourceError, make_bin
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.media import PolledMeter, TrackMeter

Gst.init(None)


def parsed(text: str) -> Gst.Caps:
    """Return the caps that `text` describes."""
    caps = Gst.Caps.from_string(text)
    assert caps is not None
    return caps


@pytest.mark.parametrize(
    ("caps", "name"),
    [
        ("video/x-h264", "H264"),
        ("video/x-h265", "H265"),
        ("image/jpeg", "JPEG"),
        ("audio/mpeg,mpegversion=4", "AAC"),
        ("audio/x-opus", "OPUS"),
        ("audio/x-mulaw", "PCMU"),
        ("audio/x-alaw", "PCMA"),
        ("audio/x-raw,format=S16LE", "PCM"),
        ("application/x-rtp,encoding-name=MPEG4-GENERIC", "AAC"),
        ("application/x-unknown,encoding-name=H264", "H264"),
    ],
)
def test_caps_name_their_codec(caps: str, name: str) -> None:
    """Demuxed media, RTP and streams announced by an SDP are all recognised."""
    assert chain_for(parsed(caps)).codec.name == name


@pytest.mark.parametrize(
    ("caps", "code"),
    [
        ("video/x-raw", "raw-video"),
        ("audio/mpeg,mpegversion=1", "codec"),
        ("application/x-rtp,media=application,encoding-name=VND.ONVIF.METADATA", "codec"),
    ],
)
def test_what_can_not_be_recorded_is_refused(caps: str, code: str) -> None:
    """Raw video has a code and a mend of its own."""
    with pytest.raises(BadSourceError) as refusal:
        chain_for(parsed(caps))
    assert refusal.value.reading.code == code


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_every_chain_can_be_built(codec: Codec) -> None:
    """Each row's elements exist, with and without RTP, and end in one source pad."""
    chains = [f"{depayloader} ! {codec.parser}" for depayloader in codec.rtp.values()]
    for launch in [codec.parser, *chains]:
        chain = make_bin(launch)
        assert chain.get_static_pad("src") is not None
        assert chain.get_static_pad("sink") is not None


def test_a_meter_counts_what_passes() -> None:
    """Frames and bytes add up; gaps are told once."""
    meter = TrackMeter("video")
    pad = Gst.Pad.new("src", Gst.PadDirection.SRC)
    pad.set_active(True)
    pad.push_event(Gst.Event.new_stream_start("test"))
    segment = Gst.Segment.new()
    segment.init(Gst.Format.TIME)
    pad.push_event(Gst.Event.new_segment(segment))
    meter.watch(pad)
    for _ in range(3):
        pad.push(Gst.Buffer.new_wrapped(bytes(100)))
    first = meter.read()
    assert meter.read() == first  # a look that nobody is told of costs no gap
    meter.reported()
    second = meter.read()
    assert (first.frames, first.bytes) == (second.frames, second.bytes) == (3, 300)
    assert first.gap_max_s >= first.gap_mean_s > 0.0
    assert (second.gap_max_s, second.gap_deviation_s) == (0.0, 0.0)


def test_a_polled_meter_counts_what_passes_its_identity() -> None:
    """Frames and bytes add up; what came between two reports came at the later one."""
    pipeline = Gst.parse_launch(
        "fakesrc num-buffers=3 sizetype=fixed sizemax=100 ! identity name=counter silent=true"
        " ! fakesink"
    )
    assert isinstance(pipeline, Gst.Pipeline)
    counter = pipeline.get_by_name("counter")
    assert counter is not None
    meter = PolledMeter("audio", counter)
    before = meter.read()
    assert (before.frames, before.first_s, before.last_s) == (0, None, None)
    pipeline.set_state(Gst.State.PLAYING)
    pipeline.get_bus().timed_pop_filtered(5 * Gst.SECOND, Gst.MessageType.EOS)
    first, second = meter.read(), meter.read()
    pipeline.set_state(Gst.State.NULL)
    assert (first.frames, first.bytes) == (second.frames, second.bytes) == (3, 300)
    assert first.first_s == first.last_s == second.last_s
    assert (second.gap_max_s, second.gap_mean_s) == (0.0, 0.0)
