"""A running source with known frames, a recorder on it, and a judge of its files."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import gi
import pytest

gi.require_version("Gst", "1.0")

# ruff: noqa: E402 - gi wants to know the version before the first import from its repository
from gi.repository import GLib, Gst

from stream_manager.pipelines.messages import FromWorker, SegmentClosed, SegmentOpened
from stream_manager.pipelines.record import Recorder
from stream_manager.pipelines.spec import Container, RecordSpec
from stream_manager.pipelines.tracks import Kind, SourceTrack

Fact = TypeVar("Fact")

TRACKS: Mapping[str, tuple[Kind, str]] = {
    "h264": ("video", "H264"),
    "h265": ("video", "H265"),
    "jpeg": ("video", "JPEG"),
    "aac": ("audio", "AAC"),
    "opus": ("audio", "OPUS"),
    "pcmu": ("audio", "PCMU"),
    "pcma": ("audio", "PCMA"),
    "pcm": ("audio", "PCM"),
}


@dataclass(kw_only=True)
class Rig:
    """A source described by text whose tees are named after their codecs (h264, aac, …)."""

    source: Gst.Pipeline
    directory: Path
    tracks: list[SourceTrack] = field(default_factory=list)
    facts: list[FromWorker] = field(default_factory=list)
    pushed: dict[str, list[float]] = field(default_factory=dict)  # running times in s
    ended: dict[str, bool] = field(default_factory=dict)
    held: list[tuple[Gst.Pad, int]] = field(default_factory=list)

    def recorder(
        self, *, container: Container = "auto", segment_s: float = 0.3, epoch: int = 1
    ) -> Recorder:
        """Make a recorder on the source; its facts come to `facts`."""
        return Recorder(
            stream="cam",
            spec=RecordSpec(
                directory=str(self.directory), segment_s=segment_s, container=container
            ),
            epoch=epoch,
            sequence=1,
            source=self.source,
            tracks=self.tracks,
            report=self.facts.append,
            wall=time.time,
        )

    def until(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        """Run the main loop until the condition holds; fail past the deadline."""
        context = GLib.MainContext.default()
        deadline_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline_s, self.facts
            wake = GLib.timeout_add(10, lambda: GLib.SOURCE_REMOVE)
            context.iteration(True)
            if (timer := context.find_source_by_id(wake)) is not None:
                timer.destroy()

    def record(
        self, *, container: Container = "auto", segment_s: float = 0.3, epoch: int = 1
    ) -> Recorder:
        """Play the source and record it from its very first buffer."""
        self.source.set_state(Gst.State.PLAYING)
        result, _, _ = self.source.get_state(10 * Gst.SECOND)
        assert result is not Gst.StateChangeReturn.FAILURE
        recorder = self.recorder(container=container, segment_s=segment_s, epoch=epoch)
        recorder.start()
        self.release()
        return recorder

    def release(self) -> None:
        """Let data through to the tees; until now the source was held before them."""
        for pad, probe in self.held:
            pad.remove_probe(probe)
        self.held.clear()

    def passed(self, name: str) -> int:
        """Return how many buffers have surely left a tee; the newest may be at it still."""
        return max(0, len(self.pushed[name]) - 1)

    def stop(self, recorder: Recorder, grace_s: float = 5.0) -> None:
        """Stop the recorder and wait until it says that it is over."""
        over: list[bool] = []
        recorder.stop(grace_s, lambda: over.append(True))
        self.until(lambda: over, grace_s + 5)

    def of(self, kind: type[Fact]) -> list[Fact]:
        """Return the facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def segments(self) -> list[SegmentClosed]:
        """Return the finished segments in their order."""
        closed = [fact for fact in self.of(SegmentClosed) if fact.bytes]
        return sorted(closed, key=lambda fact: fact.sequence)

    def opened(self, segment: SegmentClosed) -> SegmentOpened:
        """Return what was told of a finished segment when it began."""
        return next(it for it in self.of(SegmentOpened) if it.sequence == segment.sequence)


class Play(Protocol):
    """Makes a rig."""

    def __call__(self, description: str) -> Rig:
        """Build a source with a counter before each tee; it does not play yet."""
        ...


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Play]:
    """Build sources; each is set to NULL at the end."""
    Gst.init(None)
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: nothing else judges the files")
    built: list[Rig] = []

    def build(description: str) -> Rig:
        source = Gst.parse_launch(description)
        assert isinstance(source, Gst.Pipeline)
        made = Rig(source=source, directory=tmp_path)
        built.append(made)
        for name, (kind, codec) in TRACKS.items():
            tee = source.get_by_name(name)
            if tee is not None:
                _count(made, name, tee)
                caps = Gst.Caps.new_any()
                made.tracks.append(
                    SourceTrack(name=name, kind=kind, codec=codec, caps=caps, tee=tee)
                )
        return made

    yield build
    for made in built:
        made.source.set_state(Gst.State.NULL)


def _count(made: Rig, name: str, tee: Gst.Element) -> None:
    tee.set_property("allow-not-linked", True)
    pad = tee.get_static_pad("sink")
    assert pad is not None

    times = made.pushed[name] = []
    segment = Gst.Segment()

    def on_buffer(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        assert buffer is not None
        times.append(segment.to_running_time(Gst.Format.TIME, buffer.pts) / Gst.SECOND)
        return Gst.PadProbeReturn.OK

    def on_event(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        assert event is not None
        if event.type is Gst.EventType.SEGMENT:
            event.copy_segment(segment)
        elif event.type is Gst.EventType.EOS:
            made.ended[name] = True
        return Gst.PadProbeReturn.OK

    made.ended[name] = False
    pad.add_probe(Gst.PadProbeType.BUFFER, on_buffer)
    pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, on_event)
    upstream = pad.get_peer()
    assert upstream is not None
    hold = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
    probe = upstream.add_probe(hold, lambda _pad, _info: Gst.PadProbeReturn.OK)
    made.held.append((upstream, probe))


_FFPROBE = (
    *("ffprobe", "-v", "error", "-count_frames", "-count_packets"),
    *("-show_streams", "-show_format", "-of", "json"),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a player finds in one file: decoded video frames, audio packets, complaints."""

    frames: int
    packets: int
    duration_s: float
    first_s: float
    errors: str


class Judge(Protocol):
    """Plays a file."""

    def __call__(self, path: str) -> Verdict:
        """Decode the whole file by itself."""
        ...


@pytest.fixture
def judge() -> Judge:
    """Decode files with ffprobe and ffmpeg."""

    def play(path: str) -> Verdict:
        shown = subprocess.run(
            [*_FFPROBE, path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = json.loads(shown.stdout or "{}")
        streams = found.get("streams", [])
        counted = {
            kind: sum(int(s.get(key, 0)) for s in streams if s["codec_type"] == kind)
            for kind, key in (("video", "nb_read_frames"), ("audio", "nb_read_packets"))
        }
        form = found.get("format", {})
        return Verdict(
            frames=counted["video"],
            packets=counted["audio"],
            duration_s=float(form.get("duration", 0)),
            first_s=float(form.get("start_time", 0)),
            errors=shown.stderr,
        )

    return play
