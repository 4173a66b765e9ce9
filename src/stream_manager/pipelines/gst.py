"""GStreamer's bindings, at the version that this package is written for.

Importing this does not initialise GStreamer: the fork server does, once for all workers.
"""

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")

from gi.repository import GLib, Gst, GstRtsp  # noqa: E402 - the versions must be required first

# A plugin that crashes while it is loaded ends its process as any crash does, with its stack told:
# GStreamer's own handler would turn the signal into an exit with 255.
Gst.segtrap_set_enabled(False)

__all__ = ["GLib", "Gst", "GstRtsp"]
