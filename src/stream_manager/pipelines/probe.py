"""A process that plays one source for a few seconds and says what it found, then ends.

Whatever a plugin does in here (crash, hang) is over with the process: an alarm ends it when it
takes too long, even if nobody waits for it any more.
"""

import os
import signal
import sys
import threading
import time
import traceback
from itertools import pairwise
from types import TracebackType

import msgspec

from stream_manager.pipelines.findings import (
    LONGER_FOR_KEYFRAME_S,
    START_WITHIN_S,
    STOP_WITHIN_S,
    Answer,
    Findings,
    Look,
    TrackFindings,
    encode,
)
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.messages import FromWorker, PartFailed, PartStarted, StartSource
from stream_manager.pipelines.scrubbing import scrub
from stream_manager.pipelines.source import SourcePart
from stream_manager.pipelines.tracks import SourceTrack

POLL_MS = 50
SILENT_S = 5.0  # media that stopped this long before the end of the look has stalled
ALARM_MARGIN_S = 10  # whoever asked gives up before it

_KEYFRAMES_ENOUGH = 2


class Gauge:
    """Counts one track where it leaves the source, from now on; filled in a streaming thread."""

    def __init__(self, track: SourceTrack) -> None:
        self._track = track
        self._bytes: list[int] = []
        self._keyframes: list[int] = []  # the numbers of those frames
        self._first_s = 0.0
        self._last_s = 0.0
        pad = track.tee.get_static_pad("sink")
        assert pad is not None, "every tee has a sink pad"
        self._pad = pad
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer)

    def _on_buffer(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        if buffer is not None:
            self._last_s = time.monotonic()
            self._first_s = self._first_s or self._last_s
            if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
                self._keyframes.append(len(self._bytes))
            self._bytes.append(buffer.get_size())
        return Gst.PadProbeReturn.OK

    @property
    def is_video(self) -> bool:
        """Whether these are pictures."""
        return self._track.kind == "video"

    @property
    def knows_keyframes(self) -> bool:
        """Whether the distance between two keyframes was seen."""
        return len(self._keyframes) >= _KEYFRAMES_ENOUGH

    def silent_s(self, now_s: float, since_s: float) -> float:
        """Return for how long nothing has come, at most since `since_s`."""
        return now_s - max(self._last_s, since_s)

    def read(self) -> TrackFindings:
        """Return what is known of the track by now."""
        # Where the first keyframe was lost, its size and profile are known later than the track.
        caps = (self._pad.get_current_caps() or self._track.caps).get_structure(0)
        frames = len(self._bytes)
        keyframes = self._keyframes if self.is_video else []
        known, numerator, denominator = caps.get_fraction("framerate")
        return TrackFindings(
            name=self._track.name,
            kind=self._track.kind,
            codec=self._track.codec,
            profile=caps.get_string("profile") if caps.has_field("profile") else None,
            width=_int(caps, "width"),
            height=_int(caps, "height"),
            declared_fps=numerator / denominator if known and numerator else None,
            sample_rate_hz=_int(caps, "rate"),
            channels=_int(caps, "channels"),
            frames=frames,
            bytes=sum(self._bytes[:-1]),  # the last one's time is still to come
            seconds=self._last_s - self._first_s,
            key_frames=tuple(after - before for before, after in pairwise(keyframes)),
        )


class Probe:
    """One look at one source."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._loop = GLib.MainLoop()
        self._answered = False
        self._gauges: tuple[Gauge, ...] = ()
        self._began_s = time.monotonic()
        order = StartSource(epoch=1, source=look.source)
        self._source = SourcePart(order, report=self._hear)

    def run(self) -> None:
        """Answer on stdout, and return when the source is stopped or will not be."""
        GLib.timeout_add(POLL_MS, self._on_poll)
        GLib.idle_add(self._source.start)
        self._loop.run()  # type: ignore[no-untyped-call]  # the stubs leave it bare

    def answer(self, answer: Answer) -> None:
        """Say it, once, and begin to end."""
        if self._answered:
            return
        self._answered = True
        if isinstance(answer, PartFailed):
            text = scrub(answer.text, self._look.secrets)
            answer = msgspec.structs.replace(answer, text=text)
        sys.stdout.buffer.write(encode(answer) + b"\n")
        sys.stdout.flush()
        self._source.stop(STOP_WITHIN_S, self._loop.quit)

    def fail(self, origin: str, code: str, text: str) -> None:
        """Answer that it failed."""
        self.answer(PartFailed(part="source", epoch=1, origin=origin, code=code, text=text))

    def _hear(self, fact: FromWorker) -> None:
        if isinstance(fact, PartFailed):
            self.answer(fact)
        elif isinstance(fact, PartStarted) and (running := self._source.running):
            _, tracks = running
            self._gauges = tuple(map(Gauge, tracks))
            self._began_s = time.monotonic()

    def _on_poll(self) -> bool:
        now_s = time.monotonic()
        passed_s = now_s - self._began_s
        if not self._gauges:
            if passed_s > START_WITHIN_S:
                text = f"no media within {START_WITHIN_S:g} s"
                self.fail("health", "start-deadline", text)
        elif passed_s >= self._look.seconds and (
            all(gauge.knows_keyframes for gauge in self._gauges if gauge.is_video)
            or passed_s >= self._look.seconds + LONGER_FOR_KEYFRAME_S
        ):
            self._conclude(now_s, passed_s)
        return not self._answered

    def _conclude(self, now_s: float, passed_s: float) -> None:
        silent_s = max(it.silent_s(now_s, self._began_s) for it in self._gauges if it.is_video)
        if silent_s > min(SILENT_S, self._look.seconds):
            self.fail("health", "stall", f"no video for {silent_s:.1f} s, after it had begun")
        else:
            tracks = tuple(gauge.read() for gauge in self._gauges)
            self.answer(Findings(seconds=passed_s, tracks=tracks))

    def on_bug(
        self, kind: type[BaseException], bug: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Answer with an exception that nobody caught, whatever thread it comes from."""
        last_line = traceback.format_exception_only(kind, bug)[-1].strip()
        GLib.idle_add(self.fail, "python", kind.__name__, last_line)


def _int(caps: Gst.Structure, field: str) -> int | None:
    known, value = caps.get_int(field)
    return value if known else None


def main() -> None:
    """Do what stdin asks for, answer on stdout, and end."""
    look = msgspec.json.decode(sys.stdin.buffer.read(), type=Look)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is whoever asked's, and ends both
    signal.alarm(int(look.longest_s) + ALARM_MARGIN_S)
    Gst.init(None)
    probe = Probe(look)
    sys.excepthook = probe.on_bug
    threading.excepthook = lambda bug: probe.on_bug(bug.exc_type, bug.exc_value, bug.exc_traceback)
    probe.run()
    os._exit(0)  # a pipeline that hangs would keep the interpreter from its own end


if __name__ == "__main__":
    main()
