"""A custom output: any GStreamer bin beside the source, which can't feel it.

    source:  tee ! proxysink                            (for each track, fresh at each start)
    output:  proxysrc ! identity (counts) ! free sink pad of the user's bin

As with a recorder, the queue inside proxysrc is leaky: what the bin does not take is lost there.
"""

import time
from collections.abc import Callable, Sequence

from stream_manager.pipelines import faults, teardown
from stream_manager.pipelines.callbacks import lasting
from stream_manager.pipelines.elements import BadSourceError, make
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.messages import (
    Fact,
    OutputProgress,
    PartFailed,
    PartGone,
    PartStarted,
)
from stream_manager.pipelines.spec import CustomSpec
from stream_manager.pipelines.tap import Tap
from stream_manager.pipelines.tracks import SourceTrack

_DRAIN_SHARE = 0.5  # of a stop's grace, for what the bin still holds; the rest is for the teardown


class CustomOutput:
    """Feeds the tracks of a playing source pipeline to a bin. Call it on the main thread only.

    After a failure nothing more is told, and everything waits for `stop`.
    """

    def __init__(
        self,
        *,
        spec: CustomSpec,
        epoch: int,
        source: Gst.Pipeline,
        tracks: Sequence[SourceTrack],
        report: Callable[[Fact], None],
    ) -> None:
        self._part = spec.id
        self._description = spec.description
        self._epoch = epoch
        self._source = source
        self._tracks = tuple(tracks)
        self._report = report
        self.pipeline = Gst.Pipeline.new(spec.id)
        self._taps: list[Tap] = []
        self._counters: list[Gst.Element] = []
        self._failed = False
        self._on_gone: Callable[[], None] | None = None
        self._drain: int | None = None
        self._deadline_s = 0.0
        self._bytes = 0
        self._first_s: float | None = None
        self._last_s: float | None = None

    def start(self) -> None:
        """Build, link and play; reports PartStarted, or PartFailed."""
        try:
            taken = self._build()
        except BadSourceError as error:
            self._fail(error.reading)
            return
        self.pipeline.get_bus().add_watch(GLib.PRIORITY_DEFAULT, self._on_message)
        # The source's clock and base time: a buffer means the same instant in both pipelines.
        self.pipeline.use_clock(self._source.get_clock())
        self.pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        self.pipeline.set_base_time(self._source.get_base_time())
        teardown.set_state(self.pipeline, Gst.State.PLAYING, self._on_playing)
        for tap in self._taps:
            tap.open()
        described = tuple(track.described() for track in taken)
        self._report(PartStarted(part=self._part, epoch=self._epoch, tracks=described))

    def stop(self, grace_s: float, on_gone: Callable[[], None]) -> None:
        """End what the bin was given and tear down, within `grace_s`; reports PartGone, then calls.

        Past the grace it is abandoned: the source has long been free of it. Where too many hang
        already, that is the fault "teardown".
        """
        self._on_gone = on_gone
        self._deadline_s = time.monotonic() + grace_s
        for tap in self._taps:
            tap.close()
        if self._failed or not self._taps:
            self._tear_down()
        else:
            self._drain = GLib.timeout_add(int(grace_s * _DRAIN_SHARE * 1000), self._on_drain_end)

    def progress(self) -> OutputProgress:
        """Return what the bin has taken so far, in this epoch, as of this call."""
        taken = sum(_bytes_through(counter) for counter in self._counters)
        if taken > self._bytes:
            self._bytes = taken
            self._last_s = time.monotonic()
            if self._first_s is None:
                self._first_s = self._last_s
        return OutputProgress(
            part=self._part,
            epoch=self._epoch,
            bytes=self._bytes,
            first_s=self._first_s,
            last_s=self._last_s,
        )

    def _build(self) -> list[SourceTrack]:
        """Give each free sink pad of the bin a track that it accepts; return these tracks."""
        made = _parsed(self._description)
        self.pipeline.add(made)
        # A bin's newest child comes first: reversed they are in the order of the description.
        free = [
            pad
            for element in reversed(made.children)
            for pad in element.sinkpads
            if not pad.is_linked()
        ]
        if not free:
            raise _misfit("has no free sink pad: there is nothing to give the stream's media to")
        left = list(self._tracks)
        taken = []
        for number, pad in enumerate(free):
            accepted = pad.query_caps(None)  # type: ignore[no-untyped-call]  # as the stubs have it
            track = next((it for it in left if it.caps.can_intersect(accepted)), None)
            if track is None:
                have = ", ".join(f"{it.kind} {it.codec}" for it in left) or "no further one"
                raise _misfit(f"accepts no track at {pad.get_path_string()}: there is {have}")
            left.remove(track)
            taken.append(track)
            self._feed(track, made, Gst.GhostPad.new(f"sink_{number}", pad))
        return taken

    def _feed(self, track: SourceTrack, made: Gst.Bin, entry: Gst.GhostPad) -> None:
        made.add_pad(entry)
        tap = Tap(self._source, track)
        self._taps.append(tap)
        counter = make("identity")
        counter.set_property("silent", True)
        self._counters.append(counter)
        for element in (tap.proxysrc, counter):
            self.pipeline.add(element)
        tap.proxysrc.link(counter)
        into, out = (counter.get_static_pad(name) for name in ("sink", "src"))
        assert into is not None
        assert out is not None
        if track.kind == "video":
            into.add_probe(Gst.PadProbeType.BUFFER, _from_keyframe)
        out.link(entry)

    def _on_playing(self, result: Gst.StateChangeReturn) -> None:
        if result == Gst.StateChangeReturn.FAILURE:  # any message about it came first
            silent = f"the output {self._part} does not start"
            self._fail(faults.Reading(origin="output", code="state-change", text=silent))

    @lasting
    def _on_message(self, _bus: Gst.Bus, message: Gst.Message) -> bool:
        if message.type == Gst.MessageType.EOS:
            if self._drain is not None:
                GLib.source_remove(self._drain)
                self._on_drain_end()
            elif self._on_gone is None:
                ended = f"the output {self._part} has ended by itself"
                self._fail(faults.Reading(origin="output", code="eos", text=ended))
        elif (reading := faults.read(message)) is not None:
            self._fail(reading)
            if self._drain is not None:  # what it still held is lost
                GLib.source_remove(self._drain)
                self._on_drain_end()
        return GLib.SOURCE_CONTINUE

    def _on_drain_end(self) -> bool:
        self._drain = None
        self._tear_down()
        return GLib.SOURCE_REMOVE

    def _tear_down(self) -> None:
        teardown.to_null(
            self.pipeline,
            within_s=max(0.0, self._deadline_s - time.monotonic()),
            on_gone=self._on_null,
            on_hung=self._on_hung,
        )

    def _on_null(self) -> None:
        self._end(PartGone(part=self._part, epoch=self._epoch))

    def _on_hung(self) -> None:
        if teardown.abandon(self):
            self._end(PartGone(part=self._part, epoch=self._epoch, abandoned=True))
            return
        hung = f"the output {self._part} does not let itself be stopped, as others before it"
        self._end(self._failure(faults.Reading(origin="teardown", code="deadline", text=hung)))

    def _end(self, fact: Fact) -> None:
        self.pipeline.get_bus().remove_watch()
        self._report(fact)
        assert self._on_gone is not None
        self._on_gone()

    def _fail(self, reading: faults.Reading) -> None:
        """Report the first failure; what it drags along would only hide it."""
        if not self._failed:
            self._failed = True
            self._report(self._failure(reading))

    def _failure(self, reading: faults.Reading) -> PartFailed:
        return PartFailed(
            part=self._part,
            epoch=self._epoch,
            origin=reading.origin,
            code=reading.code,
            status=reading.status,
            text=reading.text,
        )


def _parsed(description: str) -> Gst.Bin:
    try:
        made = Gst.parse_bin_from_description_full(
            description, False, None, Gst.ParseFlags.FATAL_ERRORS
        )
    except GLib.Error as error:
        raise BadSourceError(
            f"the output's description can't be built: {error.message}",
            origin="output",
            code=faults.code_of(error),
        ) from error
    assert isinstance(made, Gst.Bin), "without flags to the contrary it is one"
    return made


def _misfit(what: str) -> BadSourceError:
    return BadSourceError(f"the output's description {what}", origin="output", code="codec")


def _from_keyframe(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
    """Leave out what can't be decoded, until the first picture that stands alone."""
    buffer = info.get_buffer()
    assert buffer is not None
    if buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
        return Gst.PadProbeReturn.DROP
    return Gst.PadProbeReturn.REMOVE


def _bytes_through(counter: Gst.Element) -> int:
    _, size = counter.get_property("stats").get_uint64("num-bytes")
    return int(size)
