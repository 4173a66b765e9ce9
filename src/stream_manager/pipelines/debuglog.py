"""GStreamer's own warnings in the worker's log, without a secret in them.

GStreamer keeps the newest in memory, which costs a stream nothing; from there they are fetched once
a second, and when something failed. Its usual way, each thread writing to stderr by itself, would
put URLs there as they are, and a storm of warnings with them.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.scrubbing import scrub

KEPT_BYTES = 4096  # of each thread
FORGOTTEN_AFTER_S = 60  # of a thread that has said nothing more
LINES_AT_MOST = 20  # at a time: what comes by the hundred says the same

# 0:00:00.560941958  8844  0x40cf0a00 WARN  filesrc gstfilesrc.c:553:gst_file_src_start:<f> error: …
_LINE = re.compile(r"^(?P<hours>\d+):(?P<at>\d\d:\d\d\.\d+) +\d+ +\S+ +(?P<text>.+)$", re.MULTILINE)


class DebugLog:
    """Takes GStreamer's warnings over, unless GST_DEBUG asks for what an operator wants.

    `wall` gives UTC seconds.
    """

    def __init__(self, secrets: Iterable[str], *, wall: Callable[[], float]) -> None:
        self._secrets = tuple(secrets)
        self._wall = wall
        self._taken = "GST_DEBUG" not in os.environ
        self._seen: list[str] = []
        self._newest = (0, "")
        if self._taken:
            Gst.debug_remove_log_function(None)
            Gst.debug_set_default_threshold(Gst.DebugLevel.WARNING)
            Gst.debug_add_ring_buffer_logger(KEPT_BYTES, FORGOTTEN_AFTER_S)

    def flush(self) -> None:
        """Write what is new to stderr, oldest first, each text once."""
        if not self._taken or (logs := Gst.debug_ring_buffer_logger_get_logs()) == self._seen:
            return
        self._seen = logs
        found = [
            ((int(line["hours"]), line["at"]), line["text"])
            for log in logs
            for line in _LINE.finditer(log)
        ]
        fresh = sorted(line for line in found if line[0] > self._newest)
        if not fresh:
            return
        self._newest = fresh[-1][0]
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="seconds")
        times = Counter(text for _, text in fresh)
        for text, count in list(times.items())[:LINES_AT_MOST]:
            often = f" ({count} times)" if count > 1 else ""
            sys.stderr.write(f"{at} {scrub(text, self._secrets)}{often}\n")
        if len(times) > LINES_AT_MOST:
            sys.stderr.write(f"{at} and {len(times) - LINES_AT_MOST} other warnings\n")
        sys.stderr.flush()
