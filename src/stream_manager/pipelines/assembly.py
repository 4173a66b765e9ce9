"""A source's pads made into tracks as they appear, in whatever thread that is."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from stream_manager.pipelines.build import Built
from stream_manager.pipelines.codecs import chain_for
from stream_manager.pipelines.elements import BadSourceError, link, make_bin
from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.joint import Joint
from stream_manager.pipelines.messages import TrackProgress
from stream_manager.pipelines.tracks import Kind, SourceTrack

if TYPE_CHECKING:
    from stream_manager.pipelines.faults import Reading


class Assembly:
    """The tracks of one source pipeline.

    Both callbacks come on the main thread: `on_news` when tracks or their caps have changed,
    `on_end` with a track's name when it has ended.
    """

    def __init__(
        self,
        built: Built,
        *,
        hold: bool,
        on_news: Callable[[], bool],
        on_end: Callable[[str], bool],
    ) -> None:
        """Collect what `built` has and will have; with `hold`, frames wait for release()."""
        self.refused: list[Reading] = []  # why pads, or the whole file, give no track
        self._built = built
        self._hold = hold
        self._on_news = on_news
        self._on_end = on_end
        self._lock = threading.Lock()  # demuxers and rtspsrc add pads in threads of their own
        self._joints: list[Joint] = []
        self._kinds: Counter[Kind] = Counter()
        self._unknown_pads = 0
        self._cleanup = ExitStack()
        self._growing = 0
        for element in built.growing:
            self._expect(element)
        for pad in built.pads:
            self._take(pad)
        if built.file is not None:
            self._growing += 1  # for the demuxer that is still to come
            built.file.open(on_demuxer=self._on_demuxer, on_refused=self._on_file_refused)
            self._cleanup.callback(built.file.close)

    def tracks(self) -> tuple[SourceTrack, ...]:
        """Return the tracks whose caps are known."""
        return tuple(track for joint in self._joints if (track := joint.track()) is not None)

    @property
    def is_whole(self) -> bool:
        """Whether no pad is still to come and every track's caps are known."""
        with self._lock:
            return (
                self._growing <= 0
                and self._unknown_pads == 0
                and all(joint.track() is not None for joint in self._joints)
            )

    def progress(self) -> tuple[TrackProgress, ...]:
        """Return what each track has brought, with the gaps since the last report."""
        return tuple(joint.progress() for joint in self._joints)

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        for joint in self._joints:
            joint.reported()

    def release(self) -> None:
        """Let held tracks flow, and those that are still to come."""
        with self._lock:
            self._hold = False
            for joint in self._joints:
                joint.release()

    def close(self) -> None:
        """Cut every way that leads back to the pipeline, so that it is freed now; it is in NULL.

        Left to the garbage collector, 50 rebuilds held up to 20 descriptors (measured).
        """
        self._cleanup.close()
        self._joints.clear()

    def _expect(self, element: Gst.Element) -> None:
        self._growing += 1
        for signal, handler in (
            ("pad-added", self._on_pad_added),
            ("no-more-pads", self._on_no_more_pads),
        ):
            self._cleanup.callback(element.disconnect, element.connect(signal, handler))

    def _on_demuxer(self, demuxer: Gst.Element) -> None:
        self._expect(demuxer)
        self._growing -= 1

    def _on_file_refused(self, refusal: BadSourceError) -> None:
        self.refused.append(refusal.reading)
        self._growing -= 1
        self._tell_news()

    def _on_pad_added(self, _element: Gst.Element, pad: Gst.Pad) -> None:
        if pad.direction == Gst.PadDirection.SRC and not pad.is_linked():
            self._take(pad)

    def _on_no_more_pads(self, _element: Gst.Element) -> None:
        with self._lock:
            self._growing -= 1
        self._tell_news()

    def _take(self, pad: Gst.Pad) -> None:
        caps = pad.get_current_caps()
        if caps is not None:
            self._attach(pad, caps)
            self._tell_news()
            return
        with self._lock:
            self._unknown_pads += 1
        probe = pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_early_event)
        self._cleanup.callback(pad.remove_probe, probe)

    def _on_early_event(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        if event is not None and event.type == Gst.EventType.CAPS and not pad.is_linked():
            self._attach(pad, event.parse_caps())
            with self._lock:
                self._unknown_pads -= 1
            self._tell_news()  # not before: the main thread would find a pad still unknown
        return Gst.PadProbeReturn.OK

    def _attach(self, pad: Gst.Pad, caps: Gst.Caps) -> None:
        try:
            self._join(pad, caps)
        except BadSourceError as refusal:
            self.refused.append(refusal.reading)
            waste = make_bin("fakesink async=false")  # an unlinked pad would end other tracks too
            self._built.pipeline.add(waste)
            waste.sync_state_with_parent()
            link(pad, waste)

    def _join(self, pad: Gst.Pad, caps: Gst.Caps) -> None:
        chain = chain_for(caps)
        file = self._built.file
        if file is not None:
            chain = file.paced(chain)
        with self._lock:
            kind = chain.codec.kind
            self._kinds[kind] += 1
            joint = Joint(
                kind if self._kinds[kind] == 1 else f"{kind}_{self._kinds[kind]}",
                chain,
                pipeline=self._built.pipeline,
                hold=self._hold,
                on_caps=self._tell_news,
                on_end=self._tell_end,
            )
            self._joints.append(joint)
        self._cleanup.callback(joint.close)
        if file is not None:
            file.loop(joint.chain)
        joint.join(pad)

    def _tell_news(self) -> None:
        GLib.idle_add(self._on_news)

    def _tell_end(self, name: str) -> None:
        GLib.idle_add(self._on_end, name)
