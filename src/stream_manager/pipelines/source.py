"""The source part: a pipeline that plays, its tracks and its faults told, its end bounded."""

from collections.abc import Callable

from stream_manager.pipelines import faults, teardown
from stream_manager.pipelines.assembly import Assembly
from stream_manager.pipelines.build import Built, build
from stream_manager.pipelines.callbacks import lasting
from stream_manager.pipelines.connect import find_reason, in_words
from stream_manager.pipelines.elements import BadSourceError
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.messages import (
    Fact,
    PartFailed,
    PartGone,
    PartStarted,
    StartSource,
    TrackProgress,
)
from stream_manager.pipelines.spec import FeedSource, RtspSource
from stream_manager.pipelines.tracks import SourceTrack

MORE_TRACKS_WITHIN_MS = 1000  # a silent track must not keep the others from being recorded
HOLD_MS = 1000


class SourcePart:
    """One epoch of a stream's source. Call it on the GLib main thread only.

    Until it is stopped it tells of one failure at most: the first message decides, those that
    follow are the same failure seen from elsewhere.
    """

    def __init__(self, order: StartSource, *, report: Callable[[Fact], None]) -> None:
        """Prepare what `order` asks for; nothing runs before start()."""
        self.epoch = order.epoch
        self._order = order
        self._report = report
        self._built: Built | None = None
        self._assembly: Assembly | None = None
        self._tracks: tuple[SourceTrack, ...] = ()
        self._closed = False  # failed or stopping: what the pipeline says is no news any more
        self._stopping = False
        self._timer: int | None = None

    @property
    def running(self) -> tuple[Gst.Pipeline, tuple[SourceTrack, ...]] | None:
        """The pipeline and its tracks, once PartStarted has told of them."""
        if self._built is None or not self._tracks:
            return None
        return self._built.pipeline, self._tracks

    @property
    def pipeline(self) -> Gst.Pipeline | None:
        """The pipeline, from its building until its end begins."""
        return self._built.pipeline if self._built else None

    @property
    def is_feed(self) -> bool:
        """Whether another worker hands it its media."""
        return isinstance(self._order.source, FeedSource)

    @property
    def position_s(self) -> float | None:
        """Where in its file the source is; None when it plays none."""
        return self._built.file.position_s if self._built and self._built.file else None

    def progress(self) -> tuple[TrackProgress, ...]:
        """Return what each track has brought, with the gaps since the last report."""
        return self._assembly.progress() if self._assembly else ()

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        if self._assembly is not None:
            self._assembly.reported()

    def start(self) -> None:
        """Build and play; PartStarted or PartFailed follows."""
        try:
            built = self._built = build(self._order.source, position_s=self._order.position_s)
            self._assembly = Assembly(
                built, hold=self._order.hold, on_news=self._on_news, on_end=self._on_track_end
            )
        except BadSourceError as error:
            self._fail(error.reading)
            return
        built.pipeline.get_bus().add_watch(GLib.PRIORITY_DEFAULT, self._on_message)
        built.pipeline.use_clock(Gst.SystemClock.obtain())  # outputs share it
        teardown.set_state(built.pipeline, Gst.State.PLAYING, self._on_playing)
        self._on_news()

    def release(self) -> None:
        """Let held tracks flow: an output is attached."""
        if self._assembly is not None:
            self._assembly.release()

    def stop(self, within_s: float, on_end: Callable[[], None]) -> None:
        """Tear down; PartGone is told, or past `within_s` the fault "teardown"; then `on_end`."""
        self._closed = self._stopping = True
        self._cancel_timer()
        self.release()

        built, assembly = self._built, self._assembly
        self._built = self._assembly = None
        self._tracks = ()

        def on_gone() -> None:
            if assembly is not None:
                assembly.close()
            self._report(PartGone(part="source", epoch=self.epoch))
            on_end()

        def on_hung() -> None:
            hung = "the source's pipeline does not let itself be stopped"
            self._tell(faults.Reading(origin="teardown", code="deadline", text=hung))
            on_end()

        if built is None:
            on_gone()
            return
        built.pipeline.get_bus().remove_watch()
        teardown.to_null(built.pipeline, within_s=within_s, on_gone=on_gone, on_hung=on_hung)

    def _on_playing(self, result: Gst.StateChangeReturn) -> None:
        if result == Gst.StateChangeReturn.FAILURE:  # any message about it came first
            silent = "the source does not start"
            self._fail(faults.Reading(origin="source", code="state-change", text=silent))

    def _on_news(self) -> bool:
        if self._closed or self._tracks or self._assembly is None:
            return GLib.SOURCE_REMOVE
        is_whole = self._assembly.is_whole  # asked first: what is whole does not change any more
        tracks = self._assembly.tracks()
        has_video = any(track.kind == "video" for track in tracks)
        if is_whole:
            if has_video:
                self._started(tracks)
            else:
                self._fail(self._no_video())
        elif has_video and self._timer is None:
            self._timer = GLib.timeout_add(MORE_TRACKS_WITHIN_MS, self._on_waited)
        return GLib.SOURCE_REMOVE

    def _on_track_end(self, name: str) -> bool:
        match self._order.source:
            case RtspSource():
                origin = "rtspsrc"
            case FeedSource():
                origin = "feed"
            case _:
                origin = "source"
        self._fail(faults.Reading(origin=origin, code="eos", text=f"the {name} track ended"))
        return GLib.SOURCE_REMOVE

    def _on_waited(self) -> bool:
        self._timer = None
        if self._assembly is not None:
            self._started(self._assembly.tracks())
        return GLib.SOURCE_REMOVE

    def _started(self, tracks: tuple[SourceTrack, ...]) -> None:
        self._cancel_timer()
        self._tracks = tracks
        if self._order.hold:
            self._timer = GLib.timeout_add(HOLD_MS, self._on_held_enough)
        described = tuple(track.described() for track in tracks)
        self._report(PartStarted(part="source", epoch=self.epoch, tracks=described))

    def _on_held_enough(self) -> bool:
        self._timer = None
        self.release()
        return GLib.SOURCE_REMOVE

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            GLib.source_remove(self._timer)
            self._timer = None

    def _no_video(self) -> faults.Reading:
        """Return why no track can be recorded: the first refusal, else that there was none."""
        if self._assembly is not None and self._assembly.refused:
            return self._assembly.refused[0]
        return faults.Reading(
            origin="source", code="no-video", text="the source has no video track"
        )

    @lasting
    def _on_message(self, _bus: Gst.Bus, message: Gst.Message) -> bool:
        reading = faults.read(message)
        if reading is not None and not self._closed:
            source = self._order.source
            if isinstance(source, RtspSource) and faults.is_open_failure(reading):
                self._closed = True  # told when the reason is found
                url = source.url
                find_reason(url, lambda reason: self._on_reason(reading, url, reason))
            else:
                self._fail(reading)
        return GLib.SOURCE_CONTINUE

    def _on_reason(self, reading: faults.Reading, url: str, reason: str | None) -> None:
        if reason is not None:
            text = in_words(url, reason)
            reading = faults.Reading(origin="connect", code=reason, text=text)
        if not self._stopping:
            self._tell(reading)

    def _fail(self, reading: faults.Reading) -> None:
        if not self._closed:
            self._closed = True
            self._cancel_timer()
            self._tell(reading)

    def _tell(self, reading: faults.Reading) -> None:
        self._report(
            PartFailed(
                part="source",
                epoch=self.epoch,
                origin=reading.origin,
                code=reading.code,
                status=reading.status,
                text=reading.text,
            )
        )
