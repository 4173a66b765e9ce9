"""One track from a source's pad to the tee that outputs are linked to."""

from collections.abc import Callable

from msgspec import structs

from stream_manager.pipelines.codecs import PACKETS, Chain
from stream_manager.pipelines.elements import link, make, make_bin
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.media import PolledMeter, TrackMeter
from stream_manager.pipelines.messages import TrackProgress
from stream_manager.pipelines.tracks import SourceTrack

_COUNTER_NAME = "counter"
_COUNTER = f"identity name={_COUNTER_NAME} silent=true"


class Joint:
    """`launch ! tee`, the frames counted between the two, and held back until released."""

    def __init__(
        self,
        name: str,
        chain: Chain,
        *,
        pipeline: Gst.Pipeline,
        hold: bool,
        on_caps: Callable[[], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Build it into `pipeline`; raises BadSourceError when a plugin is missing.

        Both callbacks come in the streaming thread: `on_caps` when the track's caps are known or
        change, `on_end` with its name when it ends. (The bus tells of an end too, but also when
        an output that was told to finish has: its sinks belong to the source pipeline.)
        """
        self._codec = chain.codec
        self._on_caps = on_caps
        self._on_end = on_end
        self._caps: Gst.Caps | None = None
        polled = chain.codec.kind == "audio"
        self.chain = make_bin(f"{chain.launch} ! {_COUNTER}" if polled else chain.launch)
        self._tee = make("tee")
        self._tee.set_property("allow-not-linked", True)
        self._hold_id: int | None = None
        for element in (self.chain, self._tee):
            pipeline.add(element)
        self.chain.link(self._tee)
        out = self.chain.get_static_pad("src")
        assert out is not None, "a chain has one unlinked source pad"
        self.meter = _meter(name, self.chain, out)
        self._packets = self.chain.get_by_name(PACKETS)
        tee_pad = self._tee_pad()
        self._event_probe = tee_pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event)
        if hold:
            held = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
            self._hold_id = tee_pad.add_probe(held, _keep_blocked)

    def join(self, pad: Gst.Pad) -> None:
        """Link `pad` and run; called in the pad's streaming thread, before its data."""
        self._tee.sync_state_with_parent()
        self.chain.sync_state_with_parent()
        link(pad, self.chain)

    def progress(self) -> TrackProgress:
        """Return what the track has brought, with the gaps since the last report."""
        progress = self.meter.read()
        if self._packets is None:
            return progress
        _, packets = self._packets.get_property("stats").get_uint64("num-buffers")
        return structs.replace(progress, packets=packets)

    def reported(self) -> None:
        """Know that what was read has been told: gaps count anew."""
        self.meter.reported()

    def track(self) -> SourceTrack | None:
        """Return the track, None as long as its caps are not known."""
        if self._caps is None:
            return None
        return SourceTrack(
            name=self.meter.name,
            kind=self._codec.kind,
            codec=self._codec.name,
            caps=self._caps,
            tee=self._tee,
        )

    def release(self) -> None:
        """Let the frames pass that were held back; does nothing when none are."""
        if self._hold_id is not None:
            self._tee_pad().remove_probe(self._hold_id)
            self._hold_id = None

    def close(self) -> None:
        """Take the callbacks off, for they keep the pipeline alive; it must be in NULL."""
        self._tee_pad().remove_probe(self._event_probe)

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        if event is None:
            return Gst.PadProbeReturn.OK
        if event.type == Gst.EventType.CAPS:
            self._caps = event.parse_caps()
            self._on_caps()
        elif event.type == Gst.EventType.EOS:
            self._on_end(self.meter.name)
        return Gst.PadProbeReturn.OK

    def _tee_pad(self) -> Gst.Pad:
        pad = self._tee.get_static_pad("sink")
        assert pad is not None, "every tee has a sink pad"
        return pad


def _meter(name: str, chain: Gst.Bin, out: Gst.Pad) -> TrackMeter | PolledMeter:
    counter = chain.get_by_name(_COUNTER_NAME)
    if counter is not None:
        return PolledMeter(name, counter)
    meter = TrackMeter(name)
    meter.watch(out)
    return meter


def _keep_blocked(_pad: Gst.Pad, _info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
    return Gst.PadProbeReturn.OK
