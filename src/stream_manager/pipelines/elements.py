"""Making elements, and what is said when one can't be made."""

from stream_manager.errors import OutsideError
from stream_manager.pipelines.faults import Reading
from stream_manager.pipelines.gst import GLib, Gst

MISSING_PLUGIN = "gst-core-error:12"  # what GStreamer itself says of one


class BadSourceError(OutsideError):
    """A source that can't be built, or a part of it; `reading` is what to report."""

    def __init__(self, text: str, *, origin: str, code: str) -> None:
        """Say what is wrong and what would mend it."""
        super().__init__(text)
        self.reading = Reading(origin=origin, code=code, text=text)


def make(factory: str) -> Gst.Element:
    """Return a new element; raises BadSourceError when its plugin is not installed."""
    element = Gst.ElementFactory.make(factory)
    if element is None:
        raise BadSourceError(
            f"GStreamer has no element {factory}: install the plugin that brings it",
            origin=factory,
            code=MISSING_PLUGIN,
        )
    return element


def make_bin(launch: str) -> Gst.Bin:
    """Return a bin of our own gst-launch chain; raises BadSourceError like make()."""
    try:
        return Gst.parse_bin_from_description(launch, True)
    except GLib.Error as error:
        raise BadSourceError(
            f"{error.message}: install the GStreamer plugin that brings it",
            origin="source",
            code=MISSING_PLUGIN,
        ) from error


def link(pad: Gst.Pad, element: Gst.Element) -> None:
    """Link `pad` to the sink pad of `element`, which must have one that accepts it."""
    sink = element.get_static_pad("sink")
    assert sink is not None, f"{element.get_name()} has no sink pad"
    result = pad.link(sink)
    assert result == Gst.PadLinkReturn.OK, f"{pad.get_name()} can't be linked: {result}"
