"""Clips: the access units of a media file as they are, or of the generated picture, encoded once.

Both are one GStreamer pipeline that ends in appsinks and runs as fast as it can.
"""

from dataclasses import replace
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402 - versions must be required first

from stream_manager.errors import UsageError  # noqa: E402
from stream_manager.lab.media import Clip, Kind, Track, Unit  # noqa: E402
from stream_manager.lab.picture import Picture  # noqa: E402

READ_TIMEOUT_NS = 30 * Gst.SECOND
PICTURE_S = 8  # also a whole number of AAC frames, 375 at 48 kHz: the tone loops without a seam
AAC_FRAMES = 375

# Without wait-on-eos=false it would tell of its end only after it was emptied.
SINK = "appsink sync=false async=false wait-on-eos=false"

# What follows the demuxer, by media type: the form that payloaders take, one unit a buffer.
PARSERS = {
    "video/x-h264": "h264parse config-interval=-1 ! video/x-h264,stream-format=avc,alignment=au",
    "video/x-h265": "h265parse config-interval=-1 ! video/x-h265,stream-format=hvc1,alignment=au",
    "image/jpeg": "jpegparse",
    "audio/mpeg": "aacparse ! audio/mpeg,mpegversion=4,stream-format=raw",
    "audio/x-opus": "opusparse",
    "audio/x-alaw": "identity",
    "audio/x-mulaw": "identity",
}


# What follows the raw picture, by codec: an encoder that leaves a keyframe only where it should be.
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=superfast sliced-threads=false pass=qual "
    f"quantizer=26 key-int-max={{gop}} option-string=scenecut=0 ! {PARSERS['video/x-h264']}",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast qp=26 key-int-max={gop} "
    f"option-string=scenecut=0:open-gop=0:log-level=none ! {PARSERS['video/x-h265']}",
    "mjpeg": f"jpegenc quality=70 ! {PARSERS['image/jpeg']}",
}


def generate(picture: Picture, codec: str = "h264") -> Clip:
    """Encode eight seconds of the numbered picture (H.264, H.265 or MJPEG) and a tone (AAC)."""
    Gst.init(None)
    raw = f"video/x-raw,format=I420,width={picture.width},height={picture.height}"
    pipeline = Gst.parse_launch(
        f"appsrc name=picture format=time block=true max-buffers=8 max-bytes=0 "
        f"caps={raw},framerate={picture.fps}/1 "
        f"! {ENCODERS[codec].format(gop=picture.gop)} ! {SINK} name=video "
        f"audiotestsrc wave=sine freq=440 volume=0.1 samplesperbuffer=1024 "
        f"num-buffers={AAC_FRAMES + 1} ! audio/x-raw,rate=48000,channels=1 ! avenc_aac "
        f"! {PARSERS['audio/mpeg']} ! {SINK} name=audio"
    )
    assert isinstance(pipeline, Gst.Pipeline)
    source = pipeline.get_by_name("picture")
    assert isinstance(source, GstApp.AppSrc)
    pipeline.set_state(Gst.State.PLAYING)
    for number in range(PICTURE_S * picture.fps):
        buffer = Gst.Buffer.new_wrapped(picture.draw(number))
        buffer.pts = number * Gst.SECOND // picture.fps
        buffer.duration = Gst.SECOND // picture.fps
        source.push_buffer(buffer)
    source.end_of_stream()
    return _collect(pipeline, "the generated picture")


def read(path: Path) -> Clip:
    """Take the access units of a media file: its first video and its first audio track.

    H.264, H.265 or MJPEG; AAC, Opus or G.711. Raises `UsageError` for a file that can't be read
    or holds no such video.
    """
    Gst.init(None)
    pipeline = Gst.Pipeline.new(None)
    source = Gst.ElementFactory.make("filesrc")
    parser = Gst.ElementFactory.make("parsebin")
    assert source is not None
    assert parser is not None
    source.set_property("location", str(path))
    pipeline.add(source)
    pipeline.add(parser)
    source.link(parser)
    parser.connect("pad-added", _take, pipeline)
    pipeline.set_state(Gst.State.PLAYING)
    return _collect(pipeline, str(path))


def _take(_parser: Gst.Element, pad: Gst.Pad, pipeline: Gst.Pipeline) -> None:
    """Lead a pad of the demuxer to an appsink named after its kind, or to nowhere."""
    # A query answers even where the parser, as in MPEG-TS, has not set its caps yet.
    caps = pad.query_caps(None)  # type: ignore[no-untyped-call] # an override without annotations
    media_type = caps.get_structure(0).get_name()
    name = "audio" if media_type.startswith("audio/") else "video"
    if media_type in PARSERS and pipeline.get_by_name(name) is None:
        description = f"{PARSERS[media_type]} ! {SINK} name={name}"
    else:
        description = "fakesink sync=false async=false"
    branch = Gst.parse_bin_from_description(description, ghost_unlinked_pads=True)
    pipeline.add(branch)
    branch.sync_state_with_parent()
    sink = branch.get_static_pad("sink")
    assert sink is not None
    pad.link(sink)


def _collect(pipeline: Gst.Pipeline, name: str) -> Clip:
    """Run the pipeline to its end and make a clip of what its appsinks hold."""
    bus = pipeline.get_bus()
    assert bus is not None
    try:
        message = bus.timed_pop_filtered(
            READ_TIMEOUT_NS, Gst.MessageType.EOS | Gst.MessageType.ERROR
        )
        if message is None:
            raise UsageError(f"{name}: not read within {READ_TIMEOUT_NS // Gst.SECOND} s")
        if message.type == Gst.MessageType.ERROR:
            reason = message.parse_error()[0].message.rstrip(".")
            raise UsageError(f"{name}: {reason}. Give a playable file.")
        return _clip(_track(pipeline, Kind.VIDEO), _track(pipeline, Kind.AUDIO), name)
    finally:
        pipeline.set_state(Gst.State.NULL)


def _track(pipeline: Gst.Pipeline, kind: Kind) -> Track | None:
    """Return the track of this kind, its units stamped with running time, or None."""
    sink = pipeline.get_by_name(kind.value)
    if sink is None:
        return None
    assert isinstance(sink, GstApp.AppSink)
    caps = ""
    units = []
    while (sample := sink.try_pull_sample(0)) is not None:
        buffer, segment, own_caps = sample.get_buffer(), sample.get_segment(), sample.get_caps()
        assert buffer is not None
        assert own_caps is not None
        pts_ns = segment.to_running_time(Gst.Format.TIME, buffer.pts)
        if pts_ns == Gst.CLOCK_TIME_NONE:
            continue  # cut off by the file's own edit list
        caps = caps or own_caps.to_string()
        units.append(
            Unit(
                data=buffer.extract_dup(0, buffer.get_size()),
                pts_ns=pts_ns,
                key=not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT),
            )
        )
    return Track(kind=kind, caps=caps, units=tuple(units)) if units else None


def _clip(video: Track | None, audio: Track | None, name: str) -> Clip:
    """Let both tracks begin at the first keyframe and end with the last picture."""
    if video is None or not any(unit.key for unit in video.units):
        raise UsageError(f"{name}: no video to send. Give a file with H.264, H.265 or MJPEG video.")
    while not video.units[0].key:
        video = replace(video, units=video.units[1:])
    stamps = sorted(unit.pts_ns for unit in video.units)
    start_ns = stamps[0]
    count = len(stamps)
    # The last picture lasts as long as the mean of the others; not every container tells.
    period_ns = (stamps[-1] - start_ns) * count // (count - 1) if count > 1 else Gst.SECOND
    tracks = [
        _cut(track, start_ns, start_ns + period_ns) for track in (video, audio) if track is not None
    ]
    return Clip(tracks=tuple(track for track in tracks if track.units), period_ns=period_ns)


def _cut(track: Track, start_ns: int, end_ns: int) -> Track:
    """Keep the units that begin within [start, end), counted from there."""
    return replace(
        track,
        units=tuple(
            replace(unit, pts_ns=unit.pts_ns - start_ns)
            for unit in track.units
            if start_ns <= unit.pts_ns < end_ns
        ),
    )
