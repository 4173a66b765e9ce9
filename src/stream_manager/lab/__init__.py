"""What stands in for the world when the product is tried, tested and measured.

Read `camera` for the handle that starts and breaks a simulated camera. What that camera sends is
told by `media` (the units), `picture` and `clips` (where they come from) and `schedule` (when each
goes out: the place where faults are scripted); `rtsp_server` serves it, in a process of its own.
"""
