"""GStreamer's bindings, at the version that this package is written for.

Importing this does not initialise GStreamer: only a worker does (Gst.init starts threads and
opens the plugin cache, which a fork server must not).
"""

import gi

gi.require_version("Gst", "1.0")

from gi.repository import GLib, Gst  # noqa: E402 - the version must be required first

__all__ = ["GLib", "Gst"]
