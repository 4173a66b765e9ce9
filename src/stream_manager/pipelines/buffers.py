"""Buffers whose times are set anew."""

from stream_manager.pipelines.gst import Gst

_WHOLE = (
    Gst.BufferCopyFlags.FLAGS
    | Gst.BufferCopyFlags.TIMESTAMPS
    | Gst.BufferCopyFlags.META
    | Gst.BufferCopyFlags.MEMORY
)


def copied(buffer: Gst.Buffer) -> Gst.Buffer:
    """Return a copy that shares the buffer's memory, and whose times may be set."""
    copy = buffer.copy_region(_WHOLE, 0, buffer.get_size())
    assert copy is not None
    return copy
