"""A pipeline as a graph: its elements, their states, and the caps between them."""

import zlib

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import MAX_PACKET_BYTES

# No properties: a location holds a password, and is cut short where no scrubbing would find it.
_SHOWN = (
    Gst.DebugGraphDetails.MEDIA_TYPE
    | Gst.DebugGraphDetails.CAPS_DETAILS
    | Gst.DebugGraphDetails.STATES
)
_LARGEST_BYTES = MAX_PACKET_BYTES - 1024


def draw(pipeline: Gst.Pipeline) -> bytes | None:
    """Return the graph in Graphviz's language, compressed by zlib; None if no packet holds it."""
    dot = zlib.compress(Gst.debug_bin_to_dot_data(pipeline, _SHOWN).encode())
    return dot if len(dot) <= _LARGEST_BYTES else None
