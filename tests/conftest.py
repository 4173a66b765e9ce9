"""What holds for every test.

matplotlib is loaded before any test loads GStreamer: libgstreamer brings libunwind, whose unwinder
takes the place of libgcc's in every C++ library that is loaded after it, and the first exception in
matplotlib's font reader then ends the process (seen).
"""

import matplotlib.figure  # noqa: F401
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's matter.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
