"""GStreamer's bindings, at the version that this package is written for.

Importing this does not initialise GStreamer: the fork server does, once for all workers.
"""

import gi

gi.require_version("Gst", "1.0")

from gi.repository import GLib, Gst  # noqa: E402 - the version must be required first

__all__ = ["GLib", "Gst"]
