"""The machine, as far as it explains the figures; nothing here tells whose it is."""

import os
import platform
import subprocess
from pathlib import Path


def describe() -> tuple[str, ...]:
    """Return lines about processor, memory, kernel, GStreamer and Python."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kernel = platform.release().partition("-")[0]
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory_gib:.0f} GiB of memory.",
        f"Linux {kernel}, {_gstreamer()}, Python {platform.python_version()}.",
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()


def _gstreamer() -> str:
    command = ["gst-launch-1.0", "--gst-version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return said.stdout.strip().replace("GStreamer Core Library version", "GStreamer")
