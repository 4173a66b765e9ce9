"""One track's way out of the source pipeline and into an output's: proxysink and proxysrc.

A proxysink replays its sticky events to its first proxysrc only, so both are made anew for
each start of an output.
"""

from gi.repository import GLib, Gst

from stream_manager.pipelines.tracks import SourceTrack

_LEAKY_DOWNSTREAM = 2
_QUEUE_BUFFERS = 200  # 8 s of video at 25 frames/s
_CROWDED_BUFFERS = 190  # a queue that has just dropped one and handed on one holds about 199


class Tap:
    """Takes a track's data from its tee while the source plays, without ever holding it up.

    `proxysrc` is for the output's pipeline; `video` tells what the track is. The leaky queue is
    the one inside proxysrc: before the proxysink it would hang its own teardown when the output
    hangs.
    """

    def __init__(self, source: Gst.Pipeline, track: SourceTrack) -> None:
        self._source = source
        self._tee = track.tee
        self.video = track.kind == "video"
        sink, proxysrc = (Gst.ElementFactory.make(f"proxy{end}") for end in ("sink", "src"))
        assert sink is not None
        assert isinstance(proxysrc, Gst.Bin)
        entry = sink.get_static_pad("sink")
        assert entry is not None
        self._sink = sink
        self._entry = entry
        self.proxysrc = proxysrc
        self.proxysrc.set_property("proxysink", self._sink)
        self._queue = inner = self.proxysrc.children[0]
        inner.set_property("leaky", _LEAKY_DOWNSTREAM)
        inner.set_property("silent", True)
        inner.set_property("max-size-time", 0)
        inner.set_property("max-size-bytes", 0)
        inner.set_property("max-size-buffers", _QUEUE_BUFFERS)
        source.add(self._sink)
        self._pad: Gst.Pad | None = None

    def open(self) -> None:
        """Let data flow; the output's pipeline plays already."""
        self._sink.sync_state_with_parent()
        pad = self._tee.request_pad_simple("src_%u")
        assert pad is not None
        self._pad = pad
        # Not on the tee's pad: the tee asks its peers behind that pad's probes.
        self._entry.add_probe(Gst.PadProbeType.QUERY_DOWNSTREAM, _refuse_serialized)
        pad.link(self._entry)

    @property
    def waits(self) -> bool:
        """Whether data waits to be taken in."""
        return bool(self._queue.get_property("current-level-buffers"))

    def crowded(self) -> bool:
        """Tell whether so much waits that the queue drops what it has held longest."""
        return bool(self._queue.get_property("current-level-buffers") >= _CROWDED_BUFFERS)

    def close(self) -> None:
        """Take no more data, and end what was taken with EOS; returns before that is done."""
        if self._pad is not None:
            self._pad.add_probe(Gst.PadProbeType.IDLE, self._on_idle)
        else:
            self._remove()

    def _on_idle(self, pad: Gst.Pad, _info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        pad.unlink(self._entry)
        self._entry.send_event(Gst.Event.new_eos())
        GLib.idle_add(self._remove)
        return Gst.PadProbeReturn.REMOVE

    def _remove(self) -> None:
        pad, self._pad = self._pad, None
        if pad is not None:
            self._tee.release_request_pad(pad)
        self._sink.set_state(Gst.State.NULL)
        if self._sink.get_parent() is not None:
            self._source.remove(self._sink)


def _refuse_serialized(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
    """Answer queries that travel with the data (ALLOCATION) with no.

    The queue in proxysrc makes the asker wait until it has reached them. An encoder asks anew
    whenever its caps or the tee's pads change: with a hung disk the source stood still.
    """
    query = info.get_query()
    assert query is not None
    if Gst.query_type_get_flags(query.type) & Gst.QueryTypeFlags.SERIALIZED:
        return Gst.PadProbeReturn.DROP
    return Gst.PadProbeReturn.OK
