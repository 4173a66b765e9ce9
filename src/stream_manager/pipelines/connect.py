"""Why a connection fails: rtspsrc reports refused, unreachable and unknown hosts all alike."""

import errno
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from stream_manager.pipelines.gst import GLib

RTSP_PORT = 554
DEADLINE_MS = 1000


@dataclass(slots=True)
class _Attempt:
    """Written by the helper thread, read by the main thread."""

    stage_code: str = "dns"  # what it means when the deadline strikes now
    answered: bool = False


def find_reason(url: str, on_reason: Callable[[str | None], None]) -> None:
    """Connect to `url`'s host once and tell why that fails, on the main thread, within 1 s.

    The reason is "dns", an errno's name such as "ECONNREFUSED", or None when it succeeds.
    """
    attempt = _Attempt()

    def answer(reason: str | None) -> bool:
        if not attempt.answered:
            attempt.answered = True
            on_reason(reason)
        return GLib.SOURCE_REMOVE

    def run() -> None:
        GLib.idle_add(answer, _try_connect(url, attempt))

    # A thread, for getaddrinfo can't be bounded; past the deadline nobody waits for it.
    threading.Thread(target=run, name="connect", daemon=True).start()
    GLib.timeout_add(DEADLINE_MS, lambda: answer(attempt.stage_code))


def in_words(url: str, reason: str) -> str:
    """Return a sentence for people about a reason that `find_reason` gave."""
    parts = urlsplit(url)
    if reason == "dns":
        return f"the name {parts.hostname} can't be resolved"
    what = os.strerror(getattr(errno, reason, errno.EIO))
    return f"no connection to {parts.hostname} port {parts.port or RTSP_PORT}: {what}"


def _try_connect(url: str, attempt: _Attempt) -> str | None:
    parts = urlsplit(url)
    try:
        addresses = socket.getaddrinfo(
            parts.hostname, parts.port or RTSP_PORT, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # the latter: a label that no resolver would take
        return "dns"
    attempt.stage_code = "ETIMEDOUT"
    reason = None
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(DEADLINE_MS / 1000)
            try:
                probe.connect(address)
            except TimeoutError:
                reason = "ETIMEDOUT"
            except OSError as error:
                reason = errno.errorcode.get(error.errno or 0, "EIO")
            else:
                return None
    return reason
