"""matplotlib is loaded before any test loads GStreamer.

libgstreamer brings libunwind, whose unwinder takes the place of libgcc's in every C++ library that
is loaded after it: the first exception in matplotlib's font reader then ends the process (seen).
"""

import matplotlib.figure  # noqa: F401
