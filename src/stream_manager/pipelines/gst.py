"""GStreamer's bindings, at the version that this package is written for.

Importing this does not initialise GStreamer: the fork server does, once for all workers.
"""

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")

from gi.repository import GLib, Gst, GstRtsp  # noqa: E402 - the versions must be required first

__all__ = ["GLib", "Gst", "GstRtsp"]
